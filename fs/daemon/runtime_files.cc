#include "fs/daemon/runtime_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "fs/daemon/log.h"

namespace modelfs::fs {
namespace {

constexpr off_t kMaxLogBytes = 16 << 20;

Result<void> MakeDirectories(const std::filesystem::path& directory) {
  if (directory.empty() || ::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return FailErrno(errno, fmt::format("mkdir {}", directory.string()));
  if (auto parent = MakeDirectories(directory.parent_path()); !parent) return parent;
  if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return FailErrno(errno, fmt::format("mkdir {}", directory.string()));
}

}  // namespace

Result<void> PrepareCacheDirectory(const std::filesystem::path& directory) {
  const std::string name = fmt::format("cache directory {}", directory.string());
  if (auto made = MakeDirectories(directory); !made) {
    return Fail(made.error().code, fmt::format("{} cannot be made: {}: choose another with --cache",
                                               name, made.error().what));
  }
  struct stat info;
  if (::stat(directory.c_str(), &info) != 0) return FailErrno(errno, name);
  if (!S_ISDIR(info.st_mode)) {
    return Fail(Errc::kInvalid,
                fmt::format("{} is not a directory: choose another with --cache", name));
  }
  if (::access(directory.c_str(), R_OK | W_OK | X_OK) != 0) {
    return Fail(FromErrno(errno),
                fmt::format("{} is not writable ({}): choose another with --cache", name,
                            std::generic_category().message(errno)));
  }
  return {};
}

Result<Fd> OpenLog(const std::string& control_socket) {
  const std::filesystem::path folder = std::filesystem::path(control_socket).parent_path();
  if (auto made = MakeDirectories(folder); !made) return std::unexpected(made.error());
  struct stat info;
  if (::lstat(folder.c_str(), &info) != 0) return FailErrno(errno, folder.string());
  // Under /tmp anybody could have made it first.
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022) != 0) {
    return Fail(Errc::kDenied, fmt::format("{} is not a directory of ours alone: remove it, or set "
                                           "XDG_RUNTIME_DIR",
                                           folder.string()));
  }
  const std::string path = LogPath(control_socket);
  if (::stat(path.c_str(), &info) == 0 && info.st_size > kMaxLogBytes) {
    static_cast<void>(::rename(path.c_str(), (path + ".1").c_str()));
  }
  Fd log(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log) return FailErrno(errno, "open log " + path);
  return log;
}

}  // namespace modelfs::fs
