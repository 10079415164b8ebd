#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/kept_mount.h"

namespace modelfs::fs {

// Unix sockets at a path that carry broker messages: where a holder and a worker without a
// supervisor wait for the next one. Mode 0600.

/// Listens at `path`; what was left there by somebody who is gone is replaced.
/// Errors: kInvalid (somebody listens there, the path is too long), as FromErrno.
Result<Fd> ListenForPackets(const std::string& path);

struct Peer {
  Fd socket;
  pid_t pid = 0;
};
/// The next connection; nullopt when there was none, or of another user than us and root.
std::optional<Peer> AcceptPackets(const Fd& listener);

/// Receives give up after five seconds.
/// Errors: kNotFound (nobody listens), as FromErrno; the text names the path.
Result<Fd> ConnectPackets(const std::string& path);

/// Reads what SendKept has sent, until `ready`. Other messages go to `other`, which says whether to
/// go on. Errors: kTimeout, kIo (the other end is gone or makes no sense).
Result<KeptMounts> ReceiveKept(const BrokerChannel& channel,
                               const std::function<bool(BrokerMessage&)>& other);

}  // namespace modelfs::fs
