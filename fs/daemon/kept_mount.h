#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/broker_protocol.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// All that somebody needs to go on with a mount whose worker, or whole daemon, is gone.
struct KeptMount {
  MountSpec spec;
  unsigned minor = 0;
  std::vector<std::byte> init;  ///< FUSE_INIT as the kernel sent it.
  Fd device;
  Fd nodes;     ///< What its node ids mean: a NodeLog.
  Fd requests;  ///< What was read and not answered: a RequestRecord; none: Linux sends it again.
  std::uint64_t resuming = 0;  ///< Request by which the present worker was asked to go on; 0: none.
  bool detached = false;       ///< Out of the mount table, but still in use.
};
using KeptMounts = std::map<SessionId, KeptMount>;

/// A copy of a descriptor, close-on-exec; none of a number below zero.
Fd Duplicate(int fd);

/// Whether its connection was unmounted or aborted, by whomever: the kernel says so on every copy
/// of the descriptor.
bool IsGone(const KeptMount& mount);

/// Whether a successor can go on with it.
bool MayResume(const KeptMount& mount);

/// Sends `nodes`, `requests` and `resume_mount` with copies of its descriptors.
/// Errors: those of BrokerChannel::Send.
Result<void> SendKept(const BrokerChannel& channel, SessionId id, const KeptMount& mount,
                      std::uint64_t request);

/// The other end of SendKept: puts messages together to mounts.
/// Threads: one.
class KeptMountReader {
 public:
  /// True when `message` was one of SendKept's.
  bool Take(BrokerMessage& message);
  KeptMounts& mounts() { return mounts_; }

 private:
  std::map<SessionId, Fd> nodes_;
  std::map<SessionId, Fd> requests_;
  KeptMounts mounts_;
};

}  // namespace modelfs::fs
