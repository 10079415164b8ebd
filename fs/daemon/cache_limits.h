#pragma once

#include "fs/spec.h"
#include "index/cache.h"

namespace modelfs::fs {

/// The limits of a cache in bytes: shares are of the filesystem that the cache directory lies on.
/// Where that cannot be asked, a share is no limit.
index::CacheLimits ResolveLimits(const DaemonSpec& daemon);

}  // namespace modelfs::fs
