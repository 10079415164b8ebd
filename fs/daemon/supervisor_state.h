#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/kept_mount.h"
#include "fs/daemon/owner_lock.h"
#include "fs/daemon/worker_process.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// The layout of a saved state: whoever writes another one counts it up, and goes on reading the
/// one before.
inline constexpr int kSupervisorStateVersion = 1;

/// What one supervisor leaves to the next: to the same process when it becomes another program
/// (upgrade), or to another process (adoption, MountHolder).
struct SupervisorState {
  DaemonSpec daemon;
  OwnerLock lock;
  std::optional<WorkerProcess> worker;  ///< Serves `mounts`.
  KeptMounts mounts;
  SessionId next_session = 1;
  std::uint64_t next_request = 1;
  std::uint64_t upgrade_request = 0;  ///< Of the worker that asked for an upgrade; 0: none.
};

/// Writes all of it to a memfd and lets its descriptors, and the memfd, survive an exec(2); they
/// stay the state's own. Errors: as FromErrno.
Result<Fd> SaveState(const SupervisorState& state);

/// All that it owns.
std::vector<int> DescriptorsOf(const SupervisorState& state);

/// Undoes what SaveState did to descriptors: the exec failed.
void KeepFromExec(const SupervisorState& state);

/// Reads what SaveState wrote in this process's earlier life and owns the descriptors.
/// Errors: kInvalid (another version, a field missing), kIo.
Result<SupervisorState> LoadState(Fd saved);

}  // namespace modelfs::fs
