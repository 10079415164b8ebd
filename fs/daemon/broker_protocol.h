#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/spec.h"

namespace modelfs::fs {

// What supervisor (S) and worker (W) say to each other: one JSON object per datagram of a
// SOCK_SEQPACKET socket pair, {"v": 1, "type": "...", ...}, at most kMaxBrokerMessageBytes, with at
// most one descriptor beside it. See fs/daemon/README.md for who says what when.

inline constexpr int kBrokerVersion = 1;
inline constexpr std::size_t kMaxBrokerMessageBytes = 128u << 10;

/// Number that the supervisor gives to a mount; never used twice in its life. 0: none.
using SessionId = std::uint64_t;

struct StartMessage {  ///< S: the first message. The descriptor is a copy of the owner lock.
  DaemonSpec daemon;
  Fd lock;
};
struct AddMountMessage {      ///< S: make this mount. W answers with ready or failed.
  std::uint64_t request = 0;  ///< Repeated in the answer; not 0.
  MountSpec mount;
  bool again = false;  ///< It was mounted before: mount even if its sources do not answer now.
};
struct MountRequestMessage {  ///< W: all is prepared, mount it. S answers with mounted or failed.
  std::uint64_t request = 0;  ///< Repeated in the answer.
  MountSpec mount;
};
struct MountedMessage {  ///< S: the descriptor is a copy of the mount's /dev/fuse.
  std::uint64_t request = 0;
  SessionId session = 0;
  Fd device;
  unsigned minor = 0;  ///< Names the connection; see MountEntry.
};
struct SaveInitMessage {  ///< W: the kernel's FUSE_INIT, to be kept for a successor.
  SessionId session = 0;
  std::vector<std::byte> init;
};
/// Both: what the node ids of a mount mean (NodeLog). W: to be kept for a successor. S: of the
/// mount that the next resume_mount names.
struct NodesMessage {
  SessionId session = 0;
  Fd log;
};
/// Both, as `nodes`: which requests were read and not answered yet (RequestRecord).
struct RequestsMessage {
  SessionId session = 0;
  Fd record;
};
struct SpecMessage {  ///< W: what a mount is made of from now on, for a successor.
  SessionId session = 0;
  MountSpec mount;
};
struct ResumeMountMessage {   ///< S: go on with this mount. W answers with ready or failed.
  std::uint64_t request = 0;  ///< Repeated in the answer; not 0.
  SessionId session = 0;
  MountSpec mount;
  std::vector<std::byte> init;  ///< FUSE_INIT as the kernel sent it.
  Fd device;                    ///< A copy of the mount's /dev/fuse.
  unsigned minor = 0;           ///< Names the connection; see MountEntry.
};
struct ReadyMessage {         ///< W: the mount answers.
  std::uint64_t request = 0;  ///< Of add_mount; 0: the mount was asked for over the control socket.
  SessionId session = 0;
};
struct FailedMessage {        ///< Both: the request could not be done.
  std::uint64_t request = 0;  ///< W: 0 is the start itself; the worker ends.
  Error error;
};
struct UnmountRequestMessage {  ///< W: this mount cannot be served.
  SessionId session = 0;
};
struct SessionGoneMessage {  ///< W: the kernel says that the mount is gone.
  SessionId session = 0;
};
struct PingMessage {  ///< S: are you alive? W answers with pong once its sessions are seen to be.
  std::uint64_t number = 0;
};
struct PongMessage {  ///< W: the answer to the ping with this number.
  std::uint64_t number = 0;
};
struct UpgradeMessage {       ///< W: go on as another program. S answers with retire or failed.
  std::uint64_t request = 0;  ///< Repeated in `failed`; not 0.
  Fd program;                 ///< An executable file.
};
struct AdoptedMessage {  ///< S: the first message of a supervisor that came later.
  std::uint64_t pid = 0;
};
struct RetireMessage {};  ///< S: a successor waits; end, and leave it what was not answered.
/// A supervisor to whoever keeps mounts for it (MountHolder): from now on these of this cache
/// directory are mine. Answered with nodes, requests and resume_mount of each, then ready.
struct HoldMessage {
  std::string cache_directory;
};
struct ShutdownMessage {};  ///< S: end in good order, then say bye.
struct ByeMessage {};       ///< W: all is closed; the process ends now.

using BrokerMessage =
    std::variant<StartMessage, AddMountMessage, MountRequestMessage, MountedMessage,
                 SaveInitMessage, ReadyMessage, FailedMessage, UnmountRequestMessage,
                 SessionGoneMessage, ShutdownMessage, ByeMessage, NodesMessage, ResumeMountMessage,
                 PingMessage, PongMessage, SpecMessage, RequestsMessage, UpgradeMessage,
                 RetireMessage, HoldMessage, AdoptedMessage>;

/// The message as JSON text, without its descriptor.
std::string EncodeBrokerMessage(const BrokerMessage& message);
/// `descriptor` goes into the message if its type has one, and is closed otherwise.
/// Errors: kInvalid: no JSON, another version, an unknown type, a field missing or wrong, a
/// descriptor missing.
Result<BrokerMessage> DecodeBrokerMessage(std::string_view text, Fd descriptor);
/// "mount_request", for logs.
std::string_view BrokerTypeName(const BrokerMessage& message);

/// One end of the socket pair.
/// Threads: Send from any; Receive from one.
class BrokerChannel {
 public:
  struct Pair;
  static Result<Pair> MakePair();
  /// Takes over a connected SOCK_SEQPACKET socket.
  explicit BrokerChannel(Fd socket);

  /// Gives up after five seconds when the other end does not read.
  /// Errors: kInvalid (too large), kTransient (does not read), kIo (other end closed).
  Result<void> Send(const BrokerMessage& message) const;

  /// The next message; nullopt when the other end is closed. Waits for one: poll first.
  /// Errors: kInvalid (as DecodeBrokerMessage, or too large): the message is dropped, the channel
  /// is still good. kIo: it is not.
  Result<std::optional<BrokerMessage>> Receive() const;

  int fd() const { return socket_.get(); }

 private:
  Fd socket_;
};

struct BrokerChannel::Pair {
  BrokerChannel supervisor;
  BrokerChannel worker;
};

}  // namespace modelfs::fs
