#include "fs/daemon/cache_limits.h"

#include <sys/statvfs.h>

namespace modelfs::fs {
namespace {

std::uint64_t Bytes(const Amount& amount, std::uint64_t whole) {
  if (amount.unit == Amount::Unit::kBytes) return amount.value;
  return whole / 100 * amount.value;
}

}  // namespace

std::uint64_t MemoryCacheBytes(const DaemonSpec& daemon) {
  return daemon.cache_in_memory ? daemon.memory_bytes / 2 : 0;
}

index::CacheLimits ResolveLimits(const DaemonSpec& daemon) {
  if (daemon.cache_in_memory) return {.size_bytes = MemoryCacheBytes(daemon)};
  struct statvfs filesystem{};
  std::uint64_t whole = 0;
  if (::statvfs(daemon.cache_directory.c_str(), &filesystem) == 0) {
    whole = std::uint64_t{filesystem.f_blocks} * filesystem.f_frsize;
  }
  return {.size_bytes = Bytes(daemon.cache_size, whole),
          .free_floor_bytes = Bytes(daemon.free_floor, whole)};
}

std::optional<index::shared::SharedOptions> ResolveShared(const DaemonSpec& daemon) {
  if (daemon.shared_cache.empty()) return std::nullopt;
  return index::shared::SharedOptions{
      .directory = daemon.shared_cache,
      .segment_bytes = daemon.shared_segment_bytes,
      .limit = daemon.shared_cache_size.value,
      .limit_is_percent = daemon.shared_cache_size.unit == Amount::Unit::kPercent};
}

}  // namespace modelfs::fs
