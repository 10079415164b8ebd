#include "fs/control/daemon_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>

#include "fs/control/control_client.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

constexpr std::chrono::seconds kPatience{2};

std::vector<std::string> Sockets(const stdfs::path& directory) {
  std::vector<std::string> found;
  std::error_code error;
  for (stdfs::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() == ".sock") found.push_back(it->path().string());
  }
  std::ranges::sort(found);
  return found;
}

std::string Normal(const std::string& path) {
  std::string normal = stdfs::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

/// The daemon with the nearest mount at or above `path`.
std::optional<ServedPath> Match(const std::vector<DaemonInfo>& daemons, const std::string& path) {
  std::optional<ServedPath> best;
  for (const auto& daemon : daemons) {
    const auto mountpoint = daemon.MountpointOf(path);
    if (!mountpoint || (best && best->mountpoint.size() >= mountpoint->size())) continue;
    best = ServedPath{.daemon = daemon, .mountpoint = *mountpoint, .path = path};
  }
  return best;
}

}  // namespace

bool IsAtOrBelow(const std::string& path, const std::string& directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

std::vector<std::string> DaemonInfo::Mountpoints() const {
  std::vector<std::string> all;
  const auto mounts = status.find("mounts");
  if (mounts == status.end() || !mounts->is_array()) return all;
  for (const auto& mount : *mounts) {
    if (!mount.is_object()) continue;
    const auto mountpoint = mount.find("mountpoint");
    if (mountpoint != mount.end() && mountpoint->is_string()) {
      all.push_back(mountpoint->get<std::string>());
    }
  }
  return all;
}

std::optional<std::string> DaemonInfo::MountpointOf(const std::string& path) const {
  std::optional<std::string> best;
  for (auto& mountpoint : Mountpoints()) {
    if (!IsAtOrBelow(path, mountpoint) || (best && best->size() >= mountpoint.size())) continue;
    best = std::move(mountpoint);
  }
  return best;
}

DaemonSearch SearchDaemons(const std::vector<stdfs::path>& directories) {
  DaemonSearch search;
  for (const auto& directory : directories) {
    for (const auto& socket : Sockets(directory)) {
      ControlClient client(socket, {.timeout = kPatience, .mount_timeout = kPatience});
      if (auto status = client.Status()) {
        search.daemons.push_back({socket, *std::move(status)});
      } else {
        search.any_silent = true;
      }
    }
  }
  return search;
}

std::vector<DaemonInfo> FindDaemons(const std::vector<stdfs::path>& directories) {
  return SearchDaemons(directories).daemons;
}

Result<ServedPath> FindServing(const std::vector<DaemonInfo>& daemons, const std::string& path) {
  if (daemons.empty()) {
    return Fail(Errc::kNotFound,
                fmt::format("'{}' is served by no modelfs daemon: none of yours runs", path));
  }
  // As text first: walking the path asks the mount, which may be slow or broken.
  if (auto found = Match(daemons, Normal(path))) return *std::move(found);
  std::error_code error;
  const stdfs::path canonical = stdfs::weakly_canonical(path, error);
  if (!error) {
    if (auto found = Match(daemons, Normal(canonical.string()))) return *std::move(found);
  }
  return Fail(Errc::kNotFound, fmt::format("'{}' is not below a mount of modelfs", path));
}

Result<ServedPath> FindDaemon(const std::vector<stdfs::path>& directories,
                              const std::string& path) {
  return FindServing(FindDaemons(directories), path);
}

}  // namespace modelfs::fs
