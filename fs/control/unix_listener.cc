#include "fs/control/unix_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace modelfs::fs {
namespace {

constexpr int kBacklog = 128;

Result<sockaddr_un> Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Fail(Errc::kInvalid, fmt::format("the socket path '{}' is over 107 bytes", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int Bind(const Fd& fd, const sockaddr_un& address) {
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  return ::bind(fd.get(), generic, sizeof(address)) == 0 ? 0 : errno;
}

/// Removes the socket file at `path` if nobody listens there.
Result<void> RemoveStale(const std::string& path, const sockaddr_un& address) {
  struct stat entry{};
  if (::lstat(path.c_str(), &entry) != 0) {
    if (errno == ENOENT) return {};
    return FailErrno(errno, fmt::format("look at '{}'", path));
  }
  if (!S_ISSOCK(entry.st_mode)) {
    return Fail(Errc::kInvalid,
                fmt::format("'{}' is in the way: it is no socket; remove it", path));
  }
  // Non-blocking: a listener whose queue is full answers EAGAIN, and is alive.
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return FailErrno(errno, "open a unix socket");
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(probe.get(), generic, sizeof(address)) == 0 || errno != ECONNREFUSED) {
    return Fail(Errc::kInvalid, fmt::format("another daemon answers on '{}'", path));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return FailErrno(errno, fmt::format("remove the stale socket '{}'", path));
  }
  return {};
}

}  // namespace

Result<void> MakePrivateDirectory(const std::filesystem::path& directory) {
  std::error_code error;
  if (directory.has_parent_path()) {
    std::filesystem::create_directories(directory.parent_path(), error);
  }
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return FailErrno(errno, fmt::format("make the directory '{}'", directory.string()));
  }
  const Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return FailErrno(errno, fmt::format("open the directory '{}'", directory.string()));
  struct stat entry{};
  if (::fstat(fd.get(), &entry) != 0) {
    return FailErrno(errno, fmt::format("look at '{}'", directory.string()));
  }
  if (entry.st_uid != ::geteuid()) {
    return Fail(Errc::kInvalid,
                fmt::format("the directory '{}' belongs to user {}; remove it or set "
                            "XDG_RUNTIME_DIR",
                            directory.string(), entry.st_uid));
  }
  if ((entry.st_mode & 077) != 0 && ::fchmod(fd.get(), 0700) != 0) {
    return FailErrno(errno, fmt::format("close '{}' to other users", directory.string()));
  }
  return {};
}

Result<UnixListener> UnixListener::Bind(const std::string& path) {
  auto address = Address(path);
  if (!address) return std::unexpected(address.error());
  if (auto ok = MakePrivateDirectory(std::filesystem::path(path).parent_path()); !ok) {
    return std::unexpected(ok.error());
  }
  if (auto ok = RemoveStale(path, *address); !ok) return std::unexpected(ok.error());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return FailErrno(errno, "open a unix socket");
  // On Linux the mode of an unbound socket becomes that of its file: no window, and no umask.
  if (::fchmod(fd.get(), 0600) != 0) return FailErrno(errno, "set the mode of a unix socket");
  if (const int rc = fs::Bind(fd, *address); rc != 0) {
    return FailErrno(rc, fmt::format("bind the control socket '{}'", path));
  }
  struct stat entry{};
  if (::lstat(path.c_str(), &entry) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    return FailErrno(errno, fmt::format("listen on the control socket '{}'", path));
  }
  return UnixListener(std::move(fd), path, entry.st_dev, entry.st_ino);
}

UnixListener::~UnixListener() {
  if (!fd_) return;
  struct stat entry{};
  if (::lstat(path_.c_str(), &entry) == 0 && entry.st_dev == device_ && entry.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
}

}  // namespace modelfs::fs
