#include "fs/session/device.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "fs/session/fuse_api.h"

namespace modelfs::fs {

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
