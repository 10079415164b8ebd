#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// A daemon that answered, and what it said.
struct DaemonInfo {
  std::string socket_path;
  nlohmann::json status;  ///< README.md, "Status".

  /// Its mount points, as it has them.
  std::vector<std::string> Mountpoints() const;
  /// Of its mounts the one at or above `path` that is nearest; nullopt when there is none.
  /// `path` is absolute and without "." or "..".
  std::optional<std::string> MountpointOf(const std::string& path) const;
};

/// What one look at all sockets has found.
struct DaemonSearch {
  std::vector<DaemonInfo> daemons;
  /// There is a socket that nobody answers: its daemon is gone, or has no worker at the moment.
  bool any_silent = false;
};

/// All daemons that answer on a socket ("*.sock") in one of `directories`, in the order of those.
/// Sockets that nobody answers, and ones that answer nonsense, are left out. Each gets 2 s.
DaemonSearch SearchDaemons(const std::vector<std::filesystem::path>& directories);
/// The daemons of SearchDaemons.
std::vector<DaemonInfo> FindDaemons(const std::vector<std::filesystem::path>& directories);

/// Whether `path` is `directory` or below it, as text; both absolute and normal.
bool IsAtOrBelow(const std::string& path, const std::string& directory);

/// The daemon that serves `path` (absolute), and `path` as that daemon knows it: with symlinks
/// above the mount resolved.
struct ServedPath {
  DaemonInfo daemon;
  std::string mountpoint;
  std::string path;
};
/// Of `daemons` the one whose mount at or above `path` is the nearest.
/// Errors: kNotFound, saying whether there is no daemon or none has a mount there.
Result<ServedPath> FindServing(const std::vector<DaemonInfo>& daemons, const std::string& path);

/// FindServing among FindDaemons.
Result<ServedPath> FindDaemon(const std::vector<std::filesystem::path>& directories,
                              const std::string& path);

}  // namespace modelfs::fs
