#include "fetch/dir/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "fetch/base/percent.h"

namespace modelfs::fetch {
namespace {

std::unexpected<Error> OpenFailed(int error_number, const std::string& path) {
  // Leads out of the root, or in circles.
  if (error_number == EXDEV || error_number == ELOOP) error_number = EACCES;
  return FailErrno(error_number, "open '" + Printable(path) + "'");
}

Result<Fd> OpenByComponent(int root, const std::string& path, int flags) {
  Fd directory(::openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return OpenFailed(errno, path);
  std::string_view rest = path;
  while (rest.ends_with('/')) rest.remove_suffix(1);
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string part(rest.substr(0, slash));
    if (part == "..") return OpenFailed(EXDEV, path);
    const bool last = slash == std::string_view::npos;
    const int part_flags = last ? flags : O_PATH | O_DIRECTORY;
    Fd next(::openat(directory.get(), part.c_str(), part_flags | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return OpenFailed(errno, path);
    directory = std::move(next);
    if (last) return directory;
    rest.remove_prefix(slash + 1);
  }
  Fd self(::openat(root, ".", flags | O_CLOEXEC));
  if (!self) return OpenFailed(errno, path);
  return self;
}

}  // namespace

Result<Fd> OpenBeneath(int root, const std::string& path, int flags) {
  if (path.find('\0') != std::string::npos) return OpenFailed(ENOENT, path);
  open_how how{};
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  long fd = -1;
  do {
    fd = ::syscall(SYS_openat2, root, name, &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));  // EAGAIN: a rename raced with "..".
  if (fd >= 0) return Fd(static_cast<int>(fd));
  if (errno == ENOSYS || errno == EPERM) return OpenByComponent(root, path, flags);
  return OpenFailed(errno, path);
}

}  // namespace modelfs::fetch
