#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/broker_protocol.h"

namespace modelfs::fs {

/// A worker as its supervisor sees it.
struct WorkerProcess {
  pid_t pid = 0;
  BrokerChannel channel;
  Fd ended = {};  ///< A pidfd, where it is no child of ours; none: it is, and SIGCHLD tells.
};

/// Starts this program's hidden command `worker` in a child, with stdio and one end of a new
/// channel and no other descriptor. The child outlives its parent.
/// Requires: one thread. Errors: kIo.
Result<WorkerProcess> SpawnWorker();

}  // namespace modelfs::fs
