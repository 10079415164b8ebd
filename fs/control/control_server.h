#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fetch/base/error.h"
#include "fs/control/daemon_api.h"

namespace modelfs::fs {

/// Serves a DaemonApi on a unix socket. README.md has the calls and the JSON.
///
/// Threads: one `control` thread per connection, at most 128, which call the api. Start and the
/// destructor belong to one owner thread; the destructor waits for calls in progress.
class ControlServer {
 public:
  struct Options {
    std::string socket_path;   ///< Absolute. Its folder is made if missing, mode 0700.
    DaemonApi* api = nullptr;  ///< Borrowed; must outlive the server.
    /// Who is at the other end of a connection; nullopt refuses it. Null: SO_PEERCRED.
    std::function<std::optional<uid_t>(int socket)> peer_uid;
  };

  /// Binds and listens; replaces a socket file that nobody answers.
  /// Errors: kInvalid (another daemon answers there; the folder is not ours or is open to others),
  /// kDenied, kNoSpace, kIo. The text names the path.
  static Result<std::unique_ptr<ControlServer>> Start(Options options);

  /// Stops and removes the socket file, unless a successor has put its own there.
  virtual ~ControlServer() = default;
};

/// True when a peer with user id `peer` may control a daemon that runs as `owner`: root, or the
/// same.
constexpr bool MayControl(uid_t peer, uid_t owner) { return peer == 0 || peer == owner; }

}  // namespace modelfs::fs
