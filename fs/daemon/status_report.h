#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>

#include "fs/spec.h"
#include "fs/tree/tree.h"
#include "index/cache.h"

namespace modelfs::fs {

// Parts of the object of fs/control/README.md, "Status". Neither names a secret.

nlohmann::json DescribeCache(const DaemonSpec& daemon, const index::CacheStats& stats);

nlohmann::json DescribeMount(const MountSpec& spec, const Tree& tree, const index::Cache& cache,
                             std::size_t parked_requests);

}  // namespace modelfs::fs
