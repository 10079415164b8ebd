#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "fs/config.h"
#include "fs/config/default_paths.h"
#include "fs/control/control_client.h"
#include "fs/control/daemon_finder.h"
#include "fs/daemon/child_process.h"
#include "fs/daemon/launcher.h"
#include "fs/daemon/mount_point.h"
#include "fs/daemon/mount_table.h"
#include "fs/daemon/mount_users.h"
#include "fs/daemon/mounter.h"

namespace modelfs::fs {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kAskAgain{20};
/// After a lazy unmount files may stay open for as long as their users like.
constexpr std::chrono::milliseconds kLazyWait{1000};
constexpr std::size_t kMaxUsersNamed = 3;

std::chrono::milliseconds Left(Clock::time_point until) {
  return std::max(std::chrono::milliseconds(0),
                  std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()));
}

/// The daemon behind a mount, while it still knows about it.
struct Daemon {
  std::string socket;
  std::vector<pid_t> processes;
  bool last_mount = false;
};

pid_t ProcessIn(const nlohmann::json& status, const char* name) {
  const auto found = status.find(name);
  return found != status.end() && found->is_number_integer() ? found->get<pid_t>() : 0;
}

std::optional<Daemon> FindDaemonOf(const std::string& mountpoint) {
  for (const DaemonInfo& info : FindDaemons(AllRuntimeDirectories(ProcessEnvironment()))) {
    const auto mounts = info.Mountpoints();
    if (std::ranges::find(mounts, mountpoint) == mounts.end()) continue;
    Daemon daemon{.socket = info.socket_path, .processes = {}, .last_mount = mounts.size() == 1};
    for (const char* name : {"pid", "supervisor_pid"}) {
      if (const pid_t pid = ProcessIn(info.status, name); pid > 0) daemon.processes.push_back(pid);
    }
    return daemon;
  }
  return std::nullopt;
}

bool StillServes(const std::string& socket, const std::string& mountpoint) {
  ControlClient client(socket, {.timeout = std::chrono::milliseconds(2000)});
  auto status = client.Status();
  if (!status) return status.error().code == Errc::kTimeout;
  const auto mounts = DaemonInfo{.socket_path = socket, .status = *std::move(status)}.Mountpoints();
  return std::ranges::find(mounts, mountpoint) != mounts.end();
}

/// True when the daemon has let go of the mount by `until`.
bool AwaitRelease(const Daemon& daemon, const std::string& mountpoint, Clock::time_point until) {
  if (daemon.last_mount) {
    return std::ranges::all_of(daemon.processes,
                               [&](pid_t pid) { return WaitForExit(pid, Left(until)); });
  }
  while (StillServes(daemon.socket, mountpoint)) {
    if (Clock::now() >= until) return false;
    std::this_thread::sleep_for(kAskAgain);
  }
  return true;
}

std::unexpected<Error> Busy(const std::string& mountpoint) {
  const auto users = FindMountUsers(mountpoint, kMaxUsersNamed);
  const std::string who = users.empty() ? "somebody" : fmt::format("{}", fmt::join(users, ", "));
  return Fail(Errc::kIo, fmt::format("umount {}: busy: used by {}: end that first, or 'modelfs "
                                     "umount --lazy {}'",
                                     mountpoint, who, mountpoint));
}

}  // namespace

Result<void> Unmount(const std::string& wanted, bool lazy, std::chrono::milliseconds deadline) {
  const auto until = Clock::now() + deadline;
  const auto table = MountTable::Read();
  if (!table) return std::unexpected(table.error());
  const auto mountpoint = ResolveMountPoint(wanted, *table);
  if (!mountpoint && mountpoint.error().code == Errc::kNotFound) {
    return Fail(Errc::kNotFound, fmt::format("umount {}: there is no such directory", wanted));
  }
  if (!mountpoint) return std::unexpected(mountpoint.error());
  const auto entry = table->Find(*mountpoint);
  if (!entry || entry->fs_type != kFsType) {
    return Fail(Errc::kInvalid,
                fmt::format("umount {}: nothing of modelfs is mounted there", *mountpoint));
  }
  const auto daemon = FindDaemonOf(*mountpoint);
  const auto mounter = MakeSystemMounter();
  const auto outcome = mounter->Unmount(*mountpoint, entry->device_minor,
                                        lazy ? UnmountMode::kLazy : UnmountMode::kClean);
  if (!outcome) return std::unexpected(outcome.error());
  if (*outcome == UnmountOutcome::kBusy) return Busy(*mountpoint);
  if (!daemon) return {};
  const auto wait_until = lazy ? std::min(until, Clock::now() + kLazyWait) : until;
  if (AwaitRelease(*daemon, *mountpoint, wait_until) || lazy) return {};
  return Fail(Errc::kTimeout,
              fmt::format("umount {}: it is unmounted, but process {} has not let go of it yet",
                          *mountpoint, fmt::join(daemon->processes, ", ")));
}

}  // namespace modelfs::fs
