#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fs/daemon/broker_protocol.h"
#include "fs/daemon/kept_mount.h"

namespace modelfs::fs {

/// A supervisor's line to a MountHolder in another container, which keeps a copy of what it takes
/// to go on with each mount. Threads: one.
class HolderLink {
 public:
  struct Met;
  /// Errors: kNotFound (nobody listens on `socket`), kTimeout, kIo; the text names the socket.
  static Result<Met> Connect(const std::string& socket, const std::string& cache_directory);

  /// Requires: MayResume(mount). Errors: kIo, kTransient: the line is of no use any more.
  Result<void> Keep(SessionId id, const KeptMount& mount);
  Result<void> Forget(SessionId id);

  /// Shows a hang-up when the holder is gone.
  int fd() const { return channel_.fd(); }

 private:
  explicit HolderLink(BrokerChannel channel) : channel_(std::move(channel)) {}
  BrokerChannel channel_;
};

struct HolderLink::Met {
  HolderLink link;
  KeptMounts kept;  ///< What an earlier supervisor of this cache directory left there.
};

}  // namespace modelfs::fs
