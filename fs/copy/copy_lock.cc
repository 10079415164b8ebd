#include "fs/copy/copy_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "fetch/base/percent.h"
#include "fetch/base/small_file.h"
#include "fetch/base/text.h"
#include "fs/daemon/owner_lock.h"

namespace modelfs::fs {
Result<std::optional<CopyLock>> CopyLock::TryAcquire(const std::string& path) {
  for (;;) {
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!file) return FailErrno(errno, "open the lock " + path);
    struct flock whole{};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(file.get(), F_OFD_SETLK, &whole) != 0) {
      if (errno == EAGAIN || errno == EACCES) return std::optional<CopyLock>();
      if (errno == EINTR) continue;
      if (errno == ENOLCK || errno == EOPNOTSUPP) {
        return Fail(Errc::kIo, fmt::format("lock {}: the volume knows no locks: mount it with them "
                                           "(NFS: without 'nolock')",
                                           path));
      }
      return FailErrno(errno, "lock " + path);
    }
    if (!StillAt(file.get(), path)) continue;
    // For messages alone, so that a full disk is no reason to fail.
    const std::string holder = fmt::format("process {} on {}\n", ::getpid(), HostName());
    if (::ftruncate(file.get(), 0) == 0) {
      static_cast<void>(::pwrite(file.get(), holder.data(), holder.size(), 0));
    }
    return CopyLock(std::move(file));
  }
}

std::string CopyLock::Holder(const std::string& path) {
  const auto text = ReadSmallFile(path, 4096);
  return text ? Printable(Trim(*text), 128) : std::string();
}

}  // namespace modelfs::fs
