#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/broker_protocol.h"
#include "fs/daemon/mounter.h"
#include "fs/daemon/owner_lock.h"
#include "fs/daemon/restart_policy.h"
#include "fs/daemon/worker_process.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// The small half of a daemon: holds the owner lock and the /dev/fuse descriptors, mounts and
/// unmounts, and starts the worker, which does everything else. No network, no cache, no threads.
///
///     kStarting --first mount answers--> kServing --last mount gone--> kStopping --worker ended-->
///         |                                 |                             ^ kEnded
///         +------- it failed ---------------|-----------------------------+
///                                           +--SIGTERM--> kDraining ------+
///
/// The mounts of a worker that dies, or hangs and is killed, are handed to the next one: with the
/// descriptor, the saved FUSE_INIT and the log of node ids it goes on as if nothing had been, and
/// readers only wait. A mount that cannot be handed over (it was being made, or its log is broken)
/// is detached and aborted, so that nobody hangs, and made afresh in the same place. All are
/// aborted when RestartPolicy gives up.
class Supervisor {
 public:
  struct Options {
    DaemonSpec daemon;
    MountSpec first;  ///< `mountpoint` is resolved.
    OwnerLock lock;
    std::unique_ptr<Mounter> mounter = MakeSystemMounter();
    std::function<Result<WorkerProcess>()> spawn = SpawnWorker;
    /// Called once, when the first mount answers or is known not to.
    std::function<void(Result<void>)> on_first_mount;
    /// Borrowed; the write end of a pipe: when its reader goes away before `on_first_mount`, nobody
    /// wants the mount any more. -1: none.
    int starter = -1;
    std::chrono::milliseconds drain{5'000};       ///< How long busy mounts may stay after SIGTERM.
    std::chrono::milliseconds stop{15'000};       ///< How long a worker may take to end.
    std::chrono::milliseconds restart_delay{50};  ///< See RestartPolicy.
    std::chrono::milliseconds ping{1'000};        ///< How often a worker is asked whether it lives.
    /// A worker that answers no ping for so long is killed. Opening a large cache after a crash is
    /// no hang: the worker answers while it does that.
    std::chrono::milliseconds watchdog{10'000};
  };
  explicit Supervisor(Options options)
      : options_(std::move(options)), restarts_(options_.restart_delay) {}

  /// Serves until the last mount is gone or a signal ends it. Takes over SIGTERM, SIGINT (unmount
  /// and end; the second time at any price), SIGHUP (passed on) and SIGCHLD of this process.
  /// Returns the exit code: 0 when everything ended in good order.
  int Run();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase : std::uint8_t {
    kStarting,  ///< The first mount was not answered for yet.
    kServing,   ///< Mounts come and go.
    kDraining,  ///< Unmounting; busy ones get time.
    kStopping,  ///< The worker was told to end.
    kEnded,     ///< Run returns.
  };
  /// What a successor of the worker needs to go on with a mount.
  struct KeptMount {
    MountSpec spec;
    unsigned minor = 0;
    std::vector<std::byte> init;  ///< FUSE_INIT as the kernel sent it.
    Fd device;
    Fd nodes;  ///< What its node ids mean: a NodeLog.
    std::uint64_t resuming =
        0;                  ///< Request by which the present worker was asked to go on; 0: none.
    bool detached = false;  ///< Out of the mount table, but still in use.
  };
  using Mounts = std::map<SessionId, KeptMount>;

  static constexpr bool MayMove(Phase from, Phase to);
  void Move(Phase to);
  bool TakeSignals();
  void StartWorker();
  void WaitForEvents();
  void ReadSignals();
  void ReadMessages();
  void OnTimers();

  void On(MountRequestMessage& message);
  void On(SaveInitMessage& message);
  void On(NodesMessage& message);
  void On(SpecMessage& message);
  void On(PongMessage& message);
  void On(ReadyMessage& message);
  void On(FailedMessage& message);
  void On(UnmountRequestMessage& message);
  void On(SessionGoneMessage& message);
  void On(ByeMessage& message);
  template <class Unexpected>
  void On(Unexpected& message);

  void OnTermination();
  void OnChildEnded();
  void OnWorkerDeath(const std::string& how);
  void WatchWorker(Clock::time_point now);
  bool MayResume(const KeptMount& mount) const;
  void AskToResume(SessionId id, KeptMount& mount);
  void Renew(Mounts::iterator mount);
  void NoteServing();
  void AnswerStarter(Result<void> result);
  void SendToWorker(const BrokerMessage& message);
  void StopIfIdle();
  void Stop();
  void UnmountAll(UnmountMode mode);
  bool AllUnmounted() const;
  void Detach(SessionId id, KeptMount& mount);
  void Abort(SessionId id, const KeptMount& mount);
  void Discard(Mounts::iterator mount);
  void AbortAll();
  void End(int exit_code);

  Options options_;
  Phase phase_ = Phase::kStarting;
  int exit_code_ = 0;
  Fd signals_;
  std::optional<WorkerProcess> worker_;
  bool channel_open_ = false;
  bool bye_ = false;
  Mounts mounts_;
  SessionId next_session_ = 1;
  std::map<std::uint64_t, MountSpec> pending_;  ///< add_mount requests without an answer.
  std::uint64_t next_request_ = 1;
  RestartPolicy restarts_;
  std::uint64_t pings_ = 0;  ///< Sent to the present worker.
  Clock::time_point last_ping_{};
  Clock::time_point next_ping_{};
  Clock::time_point last_pong_{};
  std::optional<Clock::time_point> restart_at_;
  std::optional<Clock::time_point> drain_until_;
  std::optional<Clock::time_point> stop_until_;
};

}  // namespace modelfs::fs
