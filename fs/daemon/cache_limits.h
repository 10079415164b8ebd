#pragma once

#include <cstdint>
#include <optional>

#include "fs/spec.h"
#include "index/cache.h"

namespace modelfs::fs {

/// How much of `memory` a cache in memory may take: half; chunk buffers have the rest. 0: it lies
/// on a disk.
std::uint64_t MemoryCacheBytes(const DaemonSpec& daemon);

/// The limits of a cache in bytes: shares are of the filesystem that the cache directory lies on.
/// Where that cannot be asked, a share is no limit.
index::CacheLimits ResolveLimits(const DaemonSpec& daemon);

/// The directory that is shared with other nodes, if there is one.
std::optional<index::shared::SharedOptions> ResolveShared(const DaemonSpec& daemon);

}  // namespace modelfs::fs
