#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/tree/tree.h"
#include "index/cache.h"

namespace modelfs::fs {

/// What /metrics tells; fs/http/README.md has the table.
struct MetricsInput {
  struct Mount {
    std::string mountpoint;
    std::size_t parked_requests = 0;
    bool config_rejected = false;
    Tree::Totals listed;
  };
  std::chrono::duration<double> uptime{0};
  bool supervised = true;
  std::optional<index::CacheStats> cache;  ///< Nullopt: it is being opened.
  std::vector<Mount> mounts;
  std::size_t jobs_running = 0;
  std::uint64_t reloads = 0;
  std::uint64_t failed_reloads = 0;
};

std::string MetricsPage(const MetricsInput& input);

}  // namespace modelfs::fs
