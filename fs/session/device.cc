#include "fs/session/device.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "fs/session/fuse_api.h"

namespace modelfs::fs {
namespace {

/// The answer to FUSE_INIT, with what libfuse 3.14 does not know added; empty if `parts` are
/// something else.
std::vector<std::byte> WithPassthrough(const iovec* parts, int count, std::uint64_t unique,
                                       std::uint32_t depth) {
  std::vector<std::byte> answer;
  for (int i = 0; i < count; ++i) {
    const auto* begin = static_cast<const std::byte*>(parts[i].iov_base);
    answer.insert(answer.end(), begin, begin + parts[i].iov_len);
  }
  FuseOutHeader header{};
  if (answer.size() < sizeof header + kFuseInitOutStackDepth + 4) return {};
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.unique != unique || header.error != 0) return {};
  const auto set = [&](std::size_t at, std::uint32_t bits) {
    std::uint32_t value = 0;
    std::memcpy(&value, answer.data() + sizeof header + at, 4);
    value |= bits;
    std::memcpy(answer.data() + sizeof header + at, &value, 4);
  };
  set(kFuseInitOutFlags, kFuseInitExt);
  set(kFuseInitOutFlags2, kFuseInitFlags2Passthrough);
  set(kFuseInitOutStackDepth, depth);
  return answer;
}

}  // namespace

std::uint32_t KernelFlags2(std::span<const std::byte> init) {
  if (init.size() < kFuseInitInFlags2 + 4) return 0;
  std::uint32_t flags = 0;
  std::uint32_t flags2 = 0;
  std::memcpy(&flags, init.data() + kFuseInitInFlags, 4);
  std::memcpy(&flags2, init.data() + kFuseInitInFlags2, 4);
  return (flags & kFuseInitExt) != 0 ? flags2 : 0;
}

Device::Device(int fd, FaultPoints* faults)
    : fd_(fd),
      faults_(faults != nullptr ? std::make_unique<DeviceFaults>(*faults) : nullptr),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

ssize_t Device::ReadNow(void* buffer, std::size_t size) {
  const ssize_t got = record_ ? record_->Read(fd_, buffer, size) : read(fd_, buffer, size);
  if (faults_ && got > 0) {
    faults_->Taken({static_cast<const std::byte*>(buffer), static_cast<std::size_t>(got)});
  }
  return got;
}

ssize_t Device::Read(void* buffer, std::size_t size) {
  for (;;) {
    if (stopped_) {
      errno = EINTR;
      return -1;
    }
    const ssize_t got = ReadNow(buffer, size);
    if (got >= 0 || errno != EAGAIN) return got;
    pollfd waits[] = {{.fd = fd_, .events = POLLIN, .revents = 0},
                      {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    if (poll(waits, 2, -1) < 0 && errno != EINTR) return -1;
  }
}

ssize_t Device::Write(const iovec* parts, int count) {
  if (swallow_) {
    ssize_t total = 0;
    for (int i = 0; i < count; ++i) total += static_cast<ssize_t>(parts[i].iov_len);
    return total;
  }
  std::vector<std::byte> init;
  iovec whole{};
  if (init_ != 0) {
    init = WithPassthrough(parts, count, init_, stack_depth_);
    if (!init.empty()) {
      init_ = 0;
      whole = {init.data(), init.size()};
      parts = &whole;
      count = 1;
    }
  }
  const std::string answer = faults_ ? faults_->Answering(parts[0]) : std::string();
  const ssize_t written = writev(fd_, parts, count);
  const int error_number = errno;
  if (faults_) faults_->Answered(answer);
  // ENOENT: it was interrupted, or answered by a predecessor that did not live to say so.
  if (record_ && (written >= 0 || error_number == ENOENT)) {
    FuseOutHeader header;
    std::memcpy(&header, parts[0].iov_base, sizeof header);
    if (header.unique != 0) record_->OnAnswered(header.unique);
  }
  errno = error_number;
  return written;
}

void Device::AskToResend() {
  FuseOutHeader header{.len = sizeof(FuseOutHeader), .error = kFuseNotifyResend, .unique = 0};
  static_cast<void>(!write(fd_, &header, sizeof header));
}

void Device::Stop() {
  stopped_ = true;
  const std::uint64_t one = 1;
  // Stays readable: every thread wakes, not only one.
  static_cast<void>(!write(wake_.get(), &one, sizeof one));
}

}  // namespace modelfs::fs
