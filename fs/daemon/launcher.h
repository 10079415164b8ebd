#pragma once

#include "fetch/base/error.h"
#include "fetch/base/fault_points.h"
#include "fs/spec.h"

namespace modelfs::fs {

enum class LaunchMode : std::uint8_t {
  kBackground,  ///< Return when the mount answers; the daemon lives on.
  kForeground,  ///< Stay until the last mount is gone; SIGTERM and SIGINT unmount cleanly.
};

/// Mounts `mount`: becomes the daemon of `daemon.cache_directory`, or asks the one that owns that
/// directory to add the mount. Returns when the mount answers (kBackground) or has ended.
/// Errors: what the user should read, one line, naming what was tried, on what, and what to do.
Result<void> LaunchMount(const DaemonSpec& daemon, const MountSpec& mount, LaunchMode mode);

/// The body of the hidden command `modelfs supervise`: goes on as the supervisor that this process
/// was before it became this program. Returns the process's exit code.
int ContinueSupervisor(int state_fd);

/// The body of the hidden command `modelfs worker`: speaks the broker protocol on descriptor
/// `broker_fd` until told to end. Returns the process's exit code. `faults` is borrowed; null:
/// none.
int RunWorker(int broker_fd, FaultPoints* faults = nullptr);

/// Unmounts `mountpoint` and waits until its daemon has let go of it (index committed, process gone
/// when it was the last mount). Ends within `deadline` whatever is broken.
/// Errors: kInvalid (nothing of ours is mounted there), kDenied, kIo (busy, with advice), kTimeout.
Result<void> Unmount(const std::string& mountpoint, bool lazy, std::chrono::milliseconds deadline);

}  // namespace modelfs::fs
