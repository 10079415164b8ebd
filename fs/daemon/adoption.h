#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/packet_socket.h"
#include "fs/daemon/supervisor_state.h"

namespace modelfs::fs {

// How a worker that has lost its supervisor finds another: it listens on a socket beside its
// control socket, and gives whoever connects first all that a supervisor has to have.

/// Where it listens.
std::string AdoptionPath(const std::string& control_socket);

/// Of a worker without a supervisor: sends `start`, every mount, and `ready`.
/// Errors: those of BrokerChannel::Send.
Result<void> OfferState(const BrokerChannel& channel, const DaemonSpec& daemon, Fd lock,
                        const KeptMounts& mounts);

/// The other end: becomes the supervisor of the worker behind `control_socket`.
/// Errors: kNotFound (it has one, or has ended), kTimeout, kIo.
Result<SupervisorState> AdoptWorker(const std::string& control_socket);

}  // namespace modelfs::fs
