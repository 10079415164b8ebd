#include "fetch/dir/dir_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>

#include "fetch/base/mutex.h"
#include "fetch/base/size.h"
#include "fetch/dir/beneath.h"

namespace modelfs::fetch {
namespace {

constexpr std::uint64_t kPieceBytes = kMiB;

Result<void> CheckTag(int fd, const ObjectId& object, const std::string& what) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return FailErrno(errno, what);
  if (!S_ISREG(status.st_mode)) return Fail(Errc::kChanged, what + ": no longer a regular file");
  if (DirTag(status) != object.tag) {
    return Fail(Errc::kChanged, fmt::format("{}: the file was changed: it is {} now, was {}", what,
                                            DirTag(status), object.tag));
  }
  return {};
}

/// Until `bytes` may be read, or nobody wants them any more: then it is asked again anyway.
void AwaitTurn(Bandwidth& bandwidth, std::size_t bytes, const BodySink& sink,
               const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kLookAgain{50};  // At the limit, and at who asks to stop.
  Mutex mutex;
  CondVar never;
  const MutexLock lock(mutex);
  while (!stop.stop_requested() && !sink.Stop().stop_requested()) {
    const auto need = sink.IsUrgent() ? Bandwidth::Need::kWaitedFor : Bandwidth::Need::kAhead;
    const auto delay = bandwidth.Take(bytes, need);
    if (delay == Bandwidth::Clock::duration()) return;
    never.WaitUntil(
        mutex, Bandwidth::Clock::now() + std::min<Bandwidth::Clock::duration>(delay, kLookAgain));
  }
}

}  // namespace

std::string DirTag(const struct stat& status) {
  const auto ns =
      static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
  return fmt::format("{}-{}-{}", ns, status.st_size, status.st_ino);
}

Result<void> ReadDirObject(const std::string& root, const ObjectId& object, ByteRange range,
                           BodySink& sink, const std::stop_token& stop, Bandwidth* bandwidth) {
  const std::string what =
      fmt::format("read {} [{},+{})", object.Describe(), range.begin, range.size());
  const Fd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return FailErrno(errno, what);
  // Without O_NONBLOCK a pipe that took the file's place would block the thread.
  Result<Fd> file = OpenBeneath(top.get(), object.key, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) {
    const bool gone = file.error().code == Errc::kNotFound;
    return Fail(gone ? Errc::kChanged : file.error().code, what + ": " + file.error().what);
  }
  if (Result<void> same = CheckTag(file->get(), object, what); !same) return same;
  const auto buffer =
      std::make_unique_for_overwrite<std::byte[]>(std::min(kPieceBytes, range.size()));
  for (std::uint64_t at = range.begin; at < range.end;) {
    if (stop.stop_requested() || sink.Stop().stop_requested())
      return Fail(Errc::kCancelled, what + ": cancelled");
    const std::size_t want = std::min(kPieceBytes, range.end - at);
    if (bandwidth != nullptr) AwaitTurn(*bandwidth, want, sink, stop);
    const ssize_t got = ::pread(file->get(), buffer.get(), want, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailErrno(errno, what);
    if (Result<void> same = CheckTag(file->get(), object, what); !same) return same;
    if (got == 0) return Fail(Errc::kChanged, what + ": the file ended early");
    sink.Append({buffer.get(), static_cast<std::size_t>(got)});
    at += static_cast<std::uint64_t>(got);
  }
  return {};
}

}  // namespace modelfs::fetch
