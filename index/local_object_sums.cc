// Whether an object is what its origin says that it is.
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "index/local_object.h"
#include "index/origin_sums.h"

namespace modelfs::index {
namespace {

/// From so many chunks on it is worth a request to know which sums will be compared. Until then all
/// kinds are made, which costs less than to read a chunk back.
constexpr std::uint64_t kAskAfter = 8;
/// Readers of bytes that turned out to be wrong let go of them within so long.
constexpr std::chrono::seconds kReadersTime{30};

}  // namespace

/// Called when a chunk was stored, and when somebody wants the whole.
void LocalObject::CheckSums(Actions& actions) {
  if (closed_ || verified_ == Verified::kOrigin || !origin_) return;
  if (sums_state_ == SumsState::kUnknown) {
    if (!chunks_.whole() && stored_chunks_ <= kAskAfter) return;
    sums_state_ = SumsState::kAsking;
    actions.Add([self = shared_from_this(), origin = origin_] {
      origin->Checksums(self->id_, [self](Result<fetch::PublishedChecksums> published) {
        self->SumsKnown(std::move(published));
      });
    });
  } else if (sums_state_ == SumsState::kKnown && chunks_.whole()) {
    StartComparing(actions);
  }
}

void LocalObject::SumsKnown(Result<fetch::PublishedChecksums> published) {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (published) {
      sum_kinds_.store(OriginSums::KindsOf(*published), std::memory_order_relaxed);
      published_ = std::move(*published);
      published_known_ = true;
      sums_state_ = SumsState::kKnown;
      if (chunks_.whole()) StartComparing(actions);
    } else {
      // Asked again by the next one who wants the whole.
      sums_state_ = SumsState::kUnknown;
      stored_chunks_ = 0;
      SettleWholeUnchecked(actions);
    }
    loaded_condition_.NotifyAll();
  }
  if (!published && published.error().code != Errc::kCancelled) {
    core_->problems.Note("cache.no_checksums", published.error());
  }
  actions.Run();
}

void LocalObject::StartComparing(Actions& actions) {
  if (published_.empty()) {
    sums_state_ = SumsState::kCompared;
    MaybeSeal(actions);
    return SettleWhole({}, actions);
  }
  sums_state_ = SumsState::kComparing;
  actions.Add([self = shared_from_this()] {
    if (!self->core_->summer->Post([self] { self->Compare(); })) self->Compared({}, 0);
  });
}

/// On the `sums` thread.
void LocalObject::Compare() {
  const auto held = Hold();  // Stays while it is looked at.
  std::uint64_t epoch = 0;
  fetch::PublishedChecksums published;
  {
    const MutexLock lock(mutex_);
    epoch = losses_;
    published = published_;
    if (!chunks_.whole() || !files_) published.clear();
  }
  bool unreadable = false;
  OriginSums::Outcome outcome;
  if (!published.empty()) {
    std::vector<ChunkSums> sums(chunks_.count());
    const Result<void> read = files_->map.ReadAll([&](std::uint64_t i, const MapRecord& r) {
      sums[i] = {r.crc64nvme, r.crc32, r.crc32c, r.flags & ChunkSums::kAll};
    });
    if (!read) core_->problems.Note("cache.map_unreadable", read.error());
    outcome = OriginSums::Compare({.size_bytes = id_.size_bytes,
                                   .chunk_bytes = chunks_.chunk_size(),
                                   .sums = [&](std::uint64_t chunk) { return sums[chunk]; },
                                   .read =
                                       [&](std::uint64_t chunk, std::vector<std::byte>& out) {
                                         const bool sound = ReadBack(chunk, out);
                                         unreadable = unreadable || !sound;
                                         return sound;
                                       }},
                                  published);
  }
  // A chunk that could not be read is being taken out of use: once more when it is back.
  Compared(outcome, unreadable ? ~epoch : epoch);
}

/// A chunk from the file, equal to its hash. A damaged one is taken out of use.
bool LocalObject::ReadBack(std::uint64_t chunk, std::vector<std::byte>& out) {
  if (core_->closing) return false;
  const auto expected = BeginRead(chunk);
  if (!expected) return false;
  const ByteRange range = chunks_.RangeOf(chunk);
  out.resize(range.size());
  std::uint64_t filled = 0;
  while (filled < range.size()) {
    const ssize_t n = ::pread(data_fd(), out.data() + filled, range.size() - filled,
                              static_cast<off_t>(range.begin + filled));
    if (n <= 0) break;
    filled += static_cast<std::uint64_t>(n);
  }
  EndRead(chunk);
  if (filled == range.size() && XXH3_64bits(out.data(), out.size()) == *expected) return true;
  ReportBad(chunk);
  return false;
}

void LocalObject::Compared(const OriginSums::Outcome& outcome, std::uint64_t epoch) {
  using Verdict = OriginSums::Verdict;
  std::vector<std::uint64_t> bad;
  for (const ByteRange& range : outcome.bad) {
    for (std::uint64_t c = chunks_.IndexOf(range.begin); c <= chunks_.IndexOf(range.end - 1); ++c) {
      if (bad.empty() || bad.back() < c) bad.push_back(c);
    }
  }
  const bool hopeless = outcome.verdict == Verdict::kDifferent && mismatches_.fetch_add(1) > 0;
  if (outcome.verdict == Verdict::kDifferent) {
    const Error error{Errc::kCorrupt,
                      fmt::format("{}: its bytes do not match the {} that the origin publishes",
                                  id_.Describe(), outcome.kind)};
    spdlog::error(
        "cache.origin_mismatch object={} kind={} chunks={} mend=\"{}\"", id_.Describe(),
        outcome.kind, bad.size(),
        hopeless ? "fetched twice: reads fail until the origin has it right" : "fetched once more");
    {
      const MutexLock lock(mutex_);
      if (hopeless) corrupt_ = error;
      if (hopeless) corrupt_chunks_ = bad;
    }
    core_->counters.quarantined_chunks.fetch_add(bad.size(), std::memory_order_relaxed);
    DropWrong(std::move(bad));
  }
  Actions actions;
  {
    const MutexLock lock(mutex_);
    sums_state_ = SumsState::kCompared;
    if (outcome.verdict == Verdict::kEqual && losses_ == epoch && chunks_.whole()) {
      verified_ = Verified::kOrigin;
      proven_ = true;
      core_->db->SetVerified(digest_, Verified::kOrigin);
    } else if (losses_ != epoch) {
      sums_state_ = SumsState::kKnown;  // Once more, when it is whole again.
      if (chunks_.whole() && !closed_ && !hopeless) StartComparing(actions);
    }
    if (corrupt_) {
      SettleWhole(std::unexpected(*corrupt_), actions);
    } else if (outcome.verdict == Verdict::kDifferent && !closed_) {
      WishForAll(0, actions);
    }
    if (closed_ || sums_state_ == SumsState::kCompared) SettleWhole({}, actions);
    if (sums_state_ == SumsState::kCompared) MaybeSeal(actions);
    loaded_condition_.NotifyAll();
  }
  actions.Run();
}

/// Takes chunks out of use whose bytes are not the origin's, also from under their readers.
void LocalObject::DropWrong(std::vector<std::uint64_t> bad) {
  const auto deadline = std::chrono::steady_clock::now() + kReadersTime;
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (sealed_) Break({}, actions);
  }
  actions.Run();
  for (;;) {
    EvictChunks(bad);
    const MutexLock lock(mutex_);
    std::erase_if(bad, [this](std::uint64_t c)
                           REQUIRES(mutex_) { return chunks_.State(c) != ChunkState::kPresent; });
    if (bad.empty() || closed_ || !loaded_condition_.WaitUntil(mutex_, deadline)) return;
  }
}

}  // namespace modelfs::index
