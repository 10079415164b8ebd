#include "fs/copy/file_io.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace modelfs::fs {

Result<void> WriteAt(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                     std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return FailErrno(n < 0 ? errno : ENOSPC, fmt::format("write {}", what));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<void> ReadAt(int fd, std::uint64_t offset, std::span<std::byte> bytes,
                    std::string_view what) {
  while (!bytes.empty()) {
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno(errno, fmt::format("read {}", what));
    if (n == 0) return Fail(Errc::kCorrupt, fmt::format("read {}: it ends too early", what));
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

}  // namespace modelfs::fs
