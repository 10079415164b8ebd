#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "fs/daemon/broker_protocol.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// The worker's end of the channel: tells requests' answers from the supervisor's own wishes.
/// Threads: Next from one; all else from any.
class BrokerClient {
 public:
  explicit BrokerClient(BrokerChannel channel)
      : channel_(std::make_shared<const BrokerChannel>(std::move(channel))) {}

  /// Another supervisor takes the place of the one that is gone. Called on the thread of Next.
  void Reconnect(BrokerChannel channel);
  /// Its process.
  void SetSupervisor(pid_t pid);

  /// Asks the supervisor to mount and waits for the answer, which Next on another thread receives.
  /// Errors: what the supervisor said; kCancelled (it is gone, or Close was called), kTimeout.
  Result<MountedMessage> RequestMount(const MountSpec& spec, std::chrono::milliseconds deadline);

  /// Asks the supervisor to go on as `program` (an executable file) with a worker of that program,
  /// and waits until this worker is told to retire (NoteRetirement) or it could not be done.
  /// Errors: as RequestMount.
  Result<void> RequestUpgrade(Fd program, std::chrono::milliseconds deadline);
  void NoteRetirement();

  /// Errors are logged: without a supervisor there is nobody to tell.
  void Send(const BrokerMessage& message);

  /// The supervisor's next wish; nullopt when there was none after all (an answer to a request was
  /// handed to whoever waits, a malformed message was logged, or the supervisor is gone, see
  /// connected). Waits: poll fd() first.
  std::optional<BrokerMessage> Next();

  /// Fails requests that wait and those to come with kCancelled.
  void Close();

  bool connected() const;
  pid_t supervisor_pid() const;  ///< 0: it is gone.
  int fd() const { return Channel()->fd(); }

 private:
  using Answer = Result<MountedMessage>;
  void Resolve(std::uint64_t request, Answer answer);
  /// Sends what `make` makes of a new request number and waits for its answer. `wish`: "mount /m".
  template <class Make>
  Answer Ask(Make make, const std::string& wish, std::chrono::milliseconds deadline)
      EXCLUDES(mutex_);
  std::shared_ptr<const BrokerChannel> Channel() const EXCLUDES(mutex_);

  mutable Mutex mutex_;
  std::shared_ptr<const BrokerChannel> channel_ GUARDED_BY(mutex_);
  pid_t supervisor_ GUARDED_BY(mutex_) = ::getppid();  ///< What it said, or who started us.
  std::uint64_t upgrade_ GUARDED_BY(mutex_) = 0;       ///< The request for one; 0: none.
  CondVar answered_;
  bool connected_ GUARDED_BY(mutex_) = true;
  bool closed_ GUARDED_BY(mutex_) = false;
  std::uint64_t next_request_ GUARDED_BY(mutex_) = 1;
  std::map<std::uint64_t, std::optional<Answer>> waiting_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
