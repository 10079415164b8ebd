#include "fs/daemon/cache_limits.h"

#include <sys/statvfs.h>

namespace modelfs::fs {
namespace {

std::uint64_t Bytes(const Amount& amount, std::uint64_t whole) {
  if (amount.unit == Amount::Unit::kBytes) return amount.value;
  return whole / 100 * amount.value;
}

}  // namespace

index::CacheLimits ResolveLimits(const DaemonSpec& daemon) {
  struct statvfs filesystem{};
  std::uint64_t whole = 0;
  if (::statvfs(daemon.cache_directory.c_str(), &filesystem) == 0) {
    whole = std::uint64_t{filesystem.f_blocks} * filesystem.f_frsize;
  }
  return {.size_bytes = Bytes(daemon.cache_size, whole),
          .free_floor_bytes = Bytes(daemon.free_floor, whole)};
}

}  // namespace modelfs::fs
