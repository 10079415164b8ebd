#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fs/daemon/broker_protocol.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// The worker's end of the channel: tells requests' answers from the supervisor's own wishes.
/// Threads: Next from one; all else from any.
class BrokerClient {
 public:
  explicit BrokerClient(BrokerChannel channel) : channel_(std::move(channel)) {}

  /// Asks the supervisor to mount and waits for the answer, which Next on another thread receives.
  /// Errors: what the supervisor said; kCancelled (it is gone, or Close was called), kTimeout.
  Result<MountedMessage> RequestMount(const MountSpec& spec, std::chrono::milliseconds deadline);

  /// Errors are logged: without a supervisor there is nobody to tell.
  void Send(const BrokerMessage& message);

  /// The supervisor's next wish; nullopt when there was none after all (an answer to a request was
  /// handed to whoever waits, a malformed message was logged, or the supervisor is gone, see
  /// connected). Waits: poll fd() first.
  std::optional<BrokerMessage> Next();

  /// Fails requests that wait and those to come with kCancelled.
  void Close();

  bool connected() const;
  int fd() const { return channel_.fd(); }

 private:
  using Answer = Result<MountedMessage>;
  void Resolve(std::uint64_t request, Answer answer);

  const BrokerChannel channel_;
  mutable Mutex mutex_;
  CondVar answered_;
  bool connected_ GUARDED_BY(mutex_) = true;
  bool closed_ GUARDED_BY(mutex_) = false;
  std::uint64_t next_request_ GUARDED_BY(mutex_) = 1;
  std::map<std::uint64_t, std::optional<Answer>> waiting_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
