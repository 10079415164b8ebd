#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fs/session/passthrough.h"
#include "fs/spec.h"
#include "fs/tree/tree.h"
#include "index/cache.h"

namespace modelfs::fs {

// Parts of the object of fs/control/README.md, "Status". Neither names a secret.

nlohmann::json DescribeCache(const DaemonSpec& daemon, const index::CacheStats& stats);

/// The object of a model version: an item of a source's `versions`, and its `progress.json`.
nlohmann::json DescribeVersion(const ListedVersion& version, const index::Cache& cache);

/// What became of a mount's configuration.
struct ConfigStatus {
  std::string file;                         ///< Empty: none.
  std::string problem;                      ///< Why the last change was not taken.
  std::vector<std::string> restart_needed;  ///< Keys that were changed and wait for a new mount.
};

/// What its session and its configuration say of themselves.
struct MountState {
  std::size_t parked_requests = 0;
  PassthroughState passthrough;
  std::optional<std::uint64_t> read_ahead_kb;  ///< Of the kernel; nullopt: not known.
  ConfigStatus config;
};

nlohmann::json DescribeMount(const MountSpec& spec, const Tree& tree, const index::Cache& cache,
                             const MountState& state);

}  // namespace modelfs::fs
