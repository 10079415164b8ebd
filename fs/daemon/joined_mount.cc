#include "fs/daemon/joined_mount.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>

#include "fetch/base/handle.h"
#include "fs/daemon/launcher.h"
#include "fs/daemon/mount_table.h"

namespace modelfs::fs {

namespace {

sigset_t Terminations() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

void HoldTermination() {
  const sigset_t set = Terminations();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

Result<void> StayWhileMounted(const std::string& mountpoint) {
  constexpr std::chrono::seconds kUnmountLimit{20};
  HoldTermination();
  const sigset_t set = Terminations();
  const Fd signals(::signalfd(-1, &set, SFD_CLOEXEC));
  // The kernel reports every change of the mount table as an exceptional condition.
  const Fd mounts(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!signals || !mounts) return FailErrno(errno, "watch the mount table");
  for (;;) {
    const auto table = MountTable::Read();
    if (!table) return std::unexpected(table.error());
    const auto entry = table->Find(mountpoint);
    if (!entry || entry->fs_type != kFsType) return {};
    std::array<pollfd, 2> wait{pollfd{signals.get(), POLLIN, 0}, pollfd{mounts.get(), POLLPRI, 0}};
    if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) {
      return FailErrno(errno, "watch the mount table");
    }
    if ((wait[0].revents & POLLIN) == 0) continue;
    auto done = Unmount(mountpoint, /*lazy=*/false, kUnmountLimit);
    return done ? done : Unmount(mountpoint, /*lazy=*/true, kUnmountLimit);
  }
}

}  // namespace modelfs::fs
