#include "fs/cli/daemon_paths.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "fs/cli/json_field.h"
#include "fs/config/default_paths.h"
#include "fs/daemon/mount_table.h"

namespace modelfs::fs {
namespace {

/// A successor opens the cache first.
constexpr std::chrono::seconds kSuccessorLimit{3};
constexpr std::chrono::milliseconds kAskAgain{50};

bool Claims(const DaemonInfo& daemon, const std::string& mountpoint) {
  const auto mountpoints = daemon.Mountpoints();
  return std::ranges::find(mountpoints, mountpoint) != mountpoints.end();
}

/// Whether a mount of ours stands there and no daemon says that it is its own.
bool SuccessorExpected(const std::vector<DaemonInfo>& daemons,
                       const std::vector<std::string>& paths) {
  const auto table = MountTable::Read();
  if (!table) return false;
  return std::ranges::any_of(table->entries(), [&](const MountEntry& entry) {
    if (entry.fs_type != kFsType) return false;
    const bool asked_for = paths.empty() || std::ranges::any_of(paths, [&](const auto& path) {
                             return IsAtOrBelow(path, entry.mountpoint);
                           });
    return asked_for && std::ranges::none_of(daemons, [&](const DaemonInfo& daemon) {
             return Claims(daemon, entry.mountpoint);
           });
  });
}

}  // namespace

std::vector<DaemonInfo> AwaitDaemons(const Environment& env,
                                     const std::vector<std::string>& paths) {
  const auto directories = AllRuntimeDirectories(env);
  const auto until = std::chrono::steady_clock::now() + kSuccessorLimit;
  for (;;) {
    auto [daemons, any_silent] = SearchDaemons(directories);
    if (std::chrono::steady_clock::now() >= until || !SuccessorExpected(daemons, paths)) {
      return daemons;
    }
    // The mounts of others are none of ours to wait for; a worker without any is still starting.
    const bool starting = std::ranges::any_of(
        daemons, [](const DaemonInfo& daemon) { return daemon.Mountpoints().empty(); });
    if (paths.empty() && !starting && !any_silent) return daemons;
    std::this_thread::sleep_for(kAskAgain);
  }
}

std::string CacheDirectory(const DaemonInfo& daemon) {
  return TextField(ChildField(daemon.status, "cache"), "directory");
}

Result<ChosenDaemons> ChooseDaemons(const Environment& env, const std::string& mountpoint) {
  ChosenDaemons chosen;
  if (mountpoint.empty()) {
    chosen.daemons = AwaitDaemons(env, {});
    if (chosen.daemons.empty()) return Fail(Errc::kNotFound, "no modelfs daemon of yours runs");
    return chosen;
  }
  const std::string path = AbsolutePath(mountpoint);
  auto served = FindServing(AwaitDaemons(env, {path}), path);
  if (!served) return std::unexpected(std::move(served.error()));
  chosen.mountpoint = std::move(served->mountpoint);
  chosen.daemons.push_back(std::move(served->daemon));
  return chosen;
}

Result<std::vector<DaemonPaths>> GroupByDaemon(const std::vector<std::string>& paths,
                                               const CommandContext& context) {
  std::vector<DaemonPaths> groups;
  std::vector<std::string> absolute;
  absolute.reserve(paths.size());
  for (const auto& path : paths) absolute.push_back(AbsolutePath(path));
  const auto daemons = AwaitDaemons(context.env, absolute);
  for (const auto& path : absolute) {
    auto served = FindServing(daemons, path);
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
