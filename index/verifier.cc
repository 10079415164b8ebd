#include "index/verifier.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <utility>

namespace modelfs::index {
namespace {

constexpr std::size_t kMostLines = 100;

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

void Verifier::Start(Ids ids, Open open, Progress progress, Done<VerifyReport> done) {
  auto shared = std::make_shared<Done<VerifyReport>>(std::move(done));
  const bool posted = thread_.Post([this, ids = std::move(ids), open = std::move(open),
                                    progress = std::move(progress), shared]() mutable {
    if (ids.empty()) {
      auto all = core_->db->Objects();
      if (!all) return (*shared)(std::unexpected(std::move(all.error())));
      for (ObjectRecord& record : *all) ids.push_back(std::move(record.id));
    }
    VerifyReport report;
    std::vector<std::byte> buffer(core_->tier.chunk_size_bytes());
    for (const fetch::ObjectId& id : ids) {
      const std::shared_ptr<LocalObject> object = open(id);
      object->AwaitLoaded();
      ++report.objects;
      if (VerifyObject(*object, progress, report, buffer) == Verdict::kStopped) {
        return (*shared)(Fail(Errc::kCancelled, "verify: stopped"));
      }
    }
    (*shared)(std::move(report));
  });
  if (!posted) (*shared)(Fail(Errc::kCancelled, "verify: shutting down"));
}

Verifier::Verdict Verifier::VerifyObject(LocalObject& object, Progress& progress,
                                         VerifyReport& report, std::vector<std::byte>& buffer) {
  const ChunkMap& chunks = object.chunks();
  std::uint64_t bad = 0;
  std::uint64_t good = 0;
  for (std::uint64_t chunk = 0; chunk < chunks.count(); ++chunk) {
    if (core_->closing) return Verdict::kStopped;
    const auto expected = object.ExpectedHash(chunk);
    if (!expected) continue;
    const ByteRange range = chunks.RangeOf(chunk);
    const bool sound = ReadChunk(object.data_fd(), range, buffer.data()) &&
                       XXH3_64bits(buffer.data(), range.size()) == *expected;
    ++report.chunks;
    report.bytes += range.size();
    // Replaced while we looked: the next Verify sees it.
    if (!sound && object.ExpectedHash(chunk) == expected) {
      ++bad;
      object.ReportBad(chunk);
    } else if (sound) {
      ++good;
    }
    if (progress && !progress(report.bytes)) return Verdict::kStopped;
  }
  report.bad_chunks += bad;
  if (bad > 0) {
    if (report.bad.size() < kMostLines) {
      report.bad.push_back(
          fmt::format("{}: {} of {} chunks damaged", object.id().Describe(), bad, chunks.count()));
    }
    return Verdict::kBad;
  }
  if (good == chunks.count() && good > 0) {
    if (::fdatasync(object.data_fd()) == 0) object.MarkVerified();
  }
  return Verdict::kAllEqual;
}

}  // namespace modelfs::index
