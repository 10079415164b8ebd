#include "index/disk_io.h"

#include <spdlog/spdlog.h>
#include <sys/uio.h>

#include "index/thread_io.h"
#include "index/uring_io.h"

namespace modelfs::index {

bool DiskIo::ReadNow(int fd, std::uint64_t offset, std::span<std::byte> dst) {
  while (!dst.empty()) {
    const iovec part{dst.data(), dst.size()};
    const ssize_t n = ::preadv2(fd, &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
    if (n <= 0) return false;
    dst = dst.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return true;
}

Result<std::unique_ptr<DiskIo>> MakeDiskIo(IoBackend backend) {
  if (backend != IoBackend::kThreads) {
    auto ring = UringIo::Make();
    if (ring) return std::unique_ptr<DiskIo>(std::move(*ring));
    if (backend == IoBackend::kUring) return std::unexpected(std::move(ring.error()));
    spdlog::info("disk_io.fallback to=threads reason=\"{}\"", ring.error().what);
  }
  return std::unique_ptr<DiskIo>(std::make_unique<ThreadIo>());
}

}  // namespace modelfs::index
