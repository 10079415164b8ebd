#include "fs/daemon/mount_point.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <string_view>

#include "fetch/base/handle.h"
#include "fs/daemon/child_process.h"

namespace modelfs::fs {
namespace {

using Directory = Handle<DIR, closedir>;
constexpr std::chrono::milliseconds kProbeDeadline{2000};

std::unexpected<Error> Refuse(int error_number, const std::string& path) {
  if (error_number == ENOENT) {
    return Fail(Errc::kNotFound, fmt::format("mount point {} does not exist: create it with "
                                             "'mkdir -p {}'",
                                             path, path));
  }
  if (error_number == ENOTDIR) {
    return Fail(Errc::kInvalid, fmt::format("mount point {} is not a directory", path));
  }
  return FailErrno(error_number, fmt::format("mount point {}", path));
}

Result<std::string> RealPath(const std::string& path, const std::string& mountpoint) {
  std::array<char, PATH_MAX> buffer;
  if (::realpath(path.c_str(), buffer.data()) == nullptr) return Refuse(errno, mountpoint);
  return std::string(buffer.data());
}

Result<void> CheckEmpty(const std::string& path) {
  const Directory directory(::opendir(path.c_str()));
  if (!directory) return Refuse(errno, path);
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    return Fail(Errc::kInvalid, fmt::format("mount point {} is not empty (it holds '{}'): mount on "
                                            "an empty directory",
                                            path, name));
  }
  if (errno != 0) return Refuse(errno, path);
  return {};
}

}  // namespace

Result<std::string> ResolveMountPoint(const std::string& mountpoint, const MountTable& table) {
  std::string path = mountpoint;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path.empty() || path.front() != '/') {
    return Fail(Errc::kInvalid,
                fmt::format("mount point '{}' is not an absolute path", mountpoint));
  }
  if (path == "/") return Fail(Errc::kInvalid, "mount point / cannot be used: name a directory");
  if (table.Find(path)) return path;
  const std::size_t slash = path.rfind('/');
  const std::string name = path.substr(slash + 1);
  if (name == "." || name == "..") return RealPath(path, mountpoint);
  auto parent = RealPath(slash == 0 ? "/" : path.substr(0, slash), mountpoint);
  if (!parent) return parent;
  std::string candidate = *parent == "/" ? "/" + name : *parent + "/" + name;
  if (table.Find(candidate)) return candidate;
  return RealPath(candidate, mountpoint);
}

MountHealth ProbeMount(const std::string& resolved) {
  // statfs is always asked of the daemon, while a stat may be answered from the kernel's cache.
  const auto error_number = CallInChild(
      [&] {
        struct statfs values;
        return ::statfs(resolved.c_str(), &values) == 0 ? 0 : errno;
      },
      "statfs " + resolved, kProbeDeadline);
  if (!error_number) return MountHealth::kHangs;
  const bool broken = *error_number == ENOTCONN || *error_number == ECONNABORTED ||
                      *error_number == ECONNREFUSED || *error_number == ESHUTDOWN;
  return broken ? MountHealth::kBroken : MountHealth::kAnswers;
}

Result<void> CheckMountPoint(const std::string& resolved, const MountTable& table) {
  const auto mounted = table.Find(resolved);
  if (mounted && mounted->fs_type.starts_with("fuse")) {
    switch (ProbeMount(resolved)) {
      case MountHealth::kBroken:
        if (mounted->fs_type == kFsType) return {};
        return Fail(Errc::kInvalid,
                    fmt::format("mount point {} holds a broken {} mount: 'umount -l {}' first",
                                resolved, mounted->fs_type, resolved));
      case MountHealth::kAnswers:
        return Fail(Errc::kInvalid, fmt::format("mount point {} is already mounted ({}): 'modelfs "
                                                "umount {}' first, or use another directory",
                                                resolved, mounted->fs_type, resolved));
      case MountHealth::kHangs:
        return Fail(Errc::kInvalid, fmt::format("mount point {} is already mounted ({}) and does "
                                                "not answer: 'modelfs umount --lazy {}' first",
                                                resolved, mounted->fs_type, resolved));
    }
  }
  struct stat info;
  if (::stat(resolved.c_str(), &info) != 0) return Refuse(errno, resolved);
  if (!S_ISDIR(info.st_mode)) return Refuse(ENOTDIR, resolved);
  return CheckEmpty(resolved);
}

Result<void> CheckMountPoint(const std::string& resolved) {
  const auto table = MountTable::Read();
  if (!table) return std::unexpected(table.error());
  return CheckMountPoint(resolved, *table);
}

}  // namespace modelfs::fs
