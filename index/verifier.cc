#include "index/verifier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace modelfs::index {
namespace {

constexpr std::size_t kMostLines = 100;
constexpr std::size_t kMendAtOnce = 8;
/// For what was fetched to reach the disk.
constexpr std::chrono::seconds kWriteTime{60};

bool ReadChunk(int fd, ByteRange range, std::byte* out) {
  std::uint64_t filled = 0;
  while (filled < range.size()) {
    const ssize_t n =
        ::pread(fd, out + filled, range.size() - filled, static_cast<off_t>(range.begin + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    filled += static_cast<std::uint64_t>(n);
  }
  return true;
}

}  // namespace

void Verifier::Start(Items items, Open open, Progress progress, Done<VerifyReport> done) {
  auto shared = std::make_shared<Done<VerifyReport>>(std::move(done));
  const bool posted = thread_.Post([this, items = std::move(items), open = std::move(open),
                                    progress = std::move(progress), shared]() mutable {
    if (items.empty()) {
      auto all = core_->db->Objects();
      if (!all) return (*shared)(std::unexpected(std::move(all.error())));
      for (ObjectRecord& record : *all) {
        const auto known = core_->space->Find(record.id.Digest());
        if (known && known->present_bytes > 0) items.push_back({std::move(record.id), nullptr});
      }
    }
    VerifyReport report;
    std::vector<std::byte> buffer(core_->tier.chunk_size_bytes());
    for (RepairItem& item : items) {
      const std::shared_ptr<LocalObject> object = open(item.id);
      const auto held = object->Hold();  // It must not be evicted meanwhile.
      object->AwaitLoaded();
      const Damage damage = item.origin ? Damage::kMend : Damage::kReport;
      if (item.origin) object->SetOrigin(std::move(item.origin));
      ++report.objects;
      if (VerifyObject(*object, damage, progress, report, buffer) == Verdict::kStopped) {
        return (*shared)(Fail(Errc::kCancelled, "verify: stopped"));
      }
    }
    (*shared)(std::move(report));
  });
  if (!posted) (*shared)(Fail(Errc::kCancelled, "verify: shutting down"));
}

Verifier::Verdict Verifier::VerifyObject(LocalObject& object, Damage damage, Progress& progress,
                                         VerifyReport& report, std::vector<std::byte>& buffer) {
  const ChunkMap& chunks = object.chunks();
  std::vector<std::uint64_t> bad;
  std::uint64_t good = 0;
  for (std::uint64_t chunk = 0; chunk < chunks.count(); ++chunk) {
    if (core_->closing) return Verdict::kStopped;
    const auto expected = object.BeginRead(chunk);
    if (!expected) continue;
    const ByteRange range = chunks.RangeOf(chunk);
    const bool sound = ReadChunk(object.data_fd(), range, buffer.data()) &&
                       XXH3_64bits(buffer.data(), range.size()) == *expected;
    object.EndRead(chunk);
    ++report.chunks;
    report.bytes += range.size();
    // Replaced while we looked: the next Verify sees it.
    if (!sound && object.ExpectedHash(chunk) == expected) {
      bad.push_back(chunk);
      object.ReportBad(chunk);
    } else if (sound) {
      ++good;
    }
    if (progress && !progress(report.bytes)) return Verdict::kStopped;
  }
  report.bad_chunks += bad.size();
  if (!bad.empty()) {
    if (report.bad.size() < kMostLines) {
      report.bad.push_back(fmt::format("{}: {} of {} chunks damaged", object.id().Describe(),
                                       bad.size(), chunks.count()));
    }
    if (damage == Damage::kMend) Mend(object, bad, report);
    return Verdict::kBad;
  }
  if (good == chunks.count() && good > 0) {
    if (::fdatasync(object.data_fd()) == 0) object.MarkVerified();
  }
  return Verdict::kAllEqual;
}

/// Fetches `bad` again and reads it back.
void Verifier::Mend(LocalObject& object, const std::vector<std::uint64_t>& bad,
                    VerifyReport& report) {
  struct State {
    Mutex mutex;
    CondVar changed;
    std::size_t open GUARDED_BY(mutex) = 0;
    std::optional<Error> error GUARDED_BY(mutex);
  };
  auto state = std::make_shared<State>();
  for (const std::uint64_t chunk : bad) {
    const ByteRange range = object.chunks().RangeOf(chunk);
    auto buffer = std::make_shared<std::vector<std::byte>>(range.size());
    MutexLock lock(state->mutex);
    while (state->open >= kMendAtOnce) state->changed.Wait(state->mutex);
    ++state->open;
    lock.Unlock();
    object.Read(range.begin, *buffer, [state, buffer](const Result<std::size_t>& n) {
      const MutexLock inner(state->mutex);
      --state->open;
      if (!n && !state->error) state->error = n.error();
      state->changed.NotifyAll();
    });
  }
  std::optional<Error> error;
  {
    const MutexLock lock(state->mutex);
    while (state->open > 0) state->changed.Wait(state->mutex);
    error = state->error;
  }
  object.AwaitQuiet(kWriteTime);
  std::uint64_t repaired = 0;
  for (const std::uint64_t chunk : bad) repaired += object.ExpectedHash(chunk) ? 1 : 0;
  report.repaired_chunks += repaired;
  if (repaired == bad.size() || report.bad.size() >= kMostLines) return;
  report.bad.push_back(fmt::format("{}: {} of {} chunks could not be fetched again: {}",
                                   object.id().Describe(), bad.size() - repaired, bad.size(),
                                   error ? error->what : "the cache did not keep them"));
}

}  // namespace modelfs::index
