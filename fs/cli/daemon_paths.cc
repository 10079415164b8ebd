#include "fs/cli/daemon_paths.h"

#include <algorithm>

#include "fs/cli/json_field.h"
#include "fs/config/default_paths.h"

namespace modelfs::fs {

std::string CacheDirectory(const DaemonInfo& daemon) {
  return TextField(ChildField(daemon.status, "cache"), "directory");
}

Result<std::vector<DaemonPaths>> GroupByDaemon(const std::vector<std::string>& paths,
                                               const CommandContext& context) {
  std::vector<DaemonPaths> groups;
  const auto daemons = FindDaemons(AllRuntimeDirectories(context.env));
  for (const auto& path : paths) {
    auto served = FindServing(daemons, AbsolutePath(path));
    if (!served) return std::unexpected(served.error());
    auto group = std::ranges::find(groups, served->daemon.socket_path, &DaemonPaths::socket_path);
    if (group == groups.end()) {
      groups.push_back({served->daemon.socket_path, CacheDirectory(served->daemon), {}});
      group = groups.end() - 1;
    }
    group->paths.push_back(std::move(served->path));
  }
  return groups;
}

}  // namespace modelfs::fs
