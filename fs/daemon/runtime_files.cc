#include "fs/daemon/runtime_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

#include "fs/daemon/log.h"

namespace modelfs::fs {
namespace {

constexpr off_t kMaxLogBytes = 16 << 20;
constexpr std::chrono::hours kKeepLogs{24 * 7};

/// Removes logs beside no socket that nobody has written to for long. A daemon that was killed may
/// leave its socket behind, so that its log stays until the next one there.
void RemoveOldLogs(const std::filesystem::path& folder) {
  namespace stdfs = std::filesystem;
  const auto oldest = stdfs::file_time_type::clock::now() - kKeepLogs;
  std::error_code error;
  for (stdfs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    stdfs::path path = it->path();
    const bool set_aside = path.extension() == ".1";
    stdfs::path log = set_aside ? stdfs::path(path).replace_extension() : path;
    if (log.extension() != ".log" || stdfs::exists(log.replace_extension(".sock"), error)) continue;
    const auto written = stdfs::last_write_time(path, error);
    if (!error && written < oldest) stdfs::remove(path, error);
    error.clear();
  }
}

}  // namespace

Result<void> MakeDirectories(const std::filesystem::path& directory) {
  if (directory.empty() || ::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return FailErrno(errno, fmt::format("mkdir {}", directory.string()));
  if (auto parent = MakeDirectories(directory.parent_path()); !parent) return parent;
  if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return FailErrno(errno, fmt::format("mkdir {}", directory.string()));
}

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
  RemoveOldLogs(folder);
  const std::string path = LogPath(control_socket);
  if (::stat(path.c_str(), &info) == 0 && info.st_size > kMaxLogBytes) {
    static_cast<void>(::rename(path.c_str(), (path + ".1").c_str()));
  }
  Fd log(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log) return FailErrno(errno, "open log " + path);
  return log;
}

}  // namespace modelfs::fs
