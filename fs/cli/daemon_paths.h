#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/cli/command.h"
#include "fs/control/daemon_finder.h"

namespace modelfs::fs {

/// Paths that one daemon serves, as that daemon knows them.
struct DaemonPaths {
  std::string socket_path;
  std::string cache_directory;  ///< What to call the daemon.
  std::vector<std::string> paths;
};

std::string CacheDirectory(const DaemonInfo& daemon);

/// The daemons of this user that answer. Where a mount of modelfs stands at or above one of `paths`
/// (absolute; none: anywhere) that no daemon claims, its worker may have died a moment ago: then
/// they are asked again, for at most 3 s, until the successor answers for it.
std::vector<DaemonInfo> AwaitDaemons(const Environment& env, const std::vector<std::string>& paths);

/// Whom a command is about.
struct ChosenDaemons {
  std::vector<DaemonInfo> daemons;
  std::optional<std::string> mountpoint;  ///< Nullopt: all mounts of theirs.
};

/// The daemon that serves `mountpoint`, or, where that is "", all of this user's.
/// Errors: kNotFound, there is none.
Result<ChosenDaemons> ChooseDaemons(const Environment& env, const std::string& mountpoint);

/// Finds the daemons of `paths` (relative ones against the working directory) and sorts the paths
/// by daemon. Errors: kNotFound, naming the first path that is not below a mount of ours.
Result<std::vector<DaemonPaths>> GroupByDaemon(const std::vector<std::string>& paths,
                                               const CommandContext& context);

}  // namespace modelfs::fs
