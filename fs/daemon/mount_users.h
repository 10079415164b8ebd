#pragma once

#include <string>
#include <vector>

namespace modelfs::fs {

/// Processes that keep `mountpoint` busy (open file, map, working directory), as far as we may
/// see: "python3 (pid 12)", at most `limit`. Reads /proc only, so that a broken mount cannot hold
/// it up.
std::vector<std::string> FindMountUsers(const std::string& mountpoint, std::size_t limit);

}  // namespace modelfs::fs
