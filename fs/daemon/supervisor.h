#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/broker_protocol.h"
#include "fs/daemon/holder_link.h"
#include "fs/daemon/kept_mount.h"
#include "fs/daemon/mounter.h"
#include "fs/daemon/owner_lock.h"
#include "fs/daemon/restart_policy.h"
#include "fs/daemon/worker_process.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// Runs `program` (a descriptor) in a child with the hidden command `supervise --check`.
/// Errors: kInvalid (it cannot be run, or cannot read a state of kSupervisorStateVersion).
Result<void> CheckProgram(int program);

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
///
/// An upgrade makes this process another program, which starts a second worker, lets the first one
/// retire when the second is there, and hands the mounts over. Another process goes on as the
/// supervisor with what a worker without one, or a MountHolder, has kept.
class Supervisor {
 public:
  struct Options {
    DaemonSpec daemon;
    std::optional<MountSpec> first = {};  ///< To be mounted; `mountpoint` is resolved.
    OwnerLock lock;
    KeptMounts kept = {};                      ///< To go on with.
    std::optional<WorkerProcess> worker = {};  ///< Serves `kept` already; none: one is started.
    SessionId next_session = 1;                ///< Above all in `kept`.
    std::uint64_t next_request = 1;            ///< Above all that `worker` was sent.
    /// The request by which `worker` asked for an upgrade: it is to be replaced. 0: it stays.
    std::uint64_t upgrade_request = 0;
    std::optional<HolderLink> holder = {};  ///< Where mounts are kept, too, if already connected.
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
    /// How long a worker may take to retire, and its successor to be ready for that.
    std::chrono::milliseconds retire{5'000};
    /// Runs a program before this process becomes it; kInvalid: it cannot go on from here.
    std::function<Result<void>(int program)> check_program = CheckProgram;
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
  static constexpr bool MayMove(Phase from, Phase to);
  void Move(Phase to);
  bool TakeSignals();
  void Begin();
  void StartWorker();
  void Welcome(WorkerProcess worker);
  void WaitForEvents();
  void ReadSignals();
  void ReadMessages();
  void OnTimers();

  void On(MountRequestMessage& message);
  void On(SaveInitMessage& message);
  void On(NodesMessage& message);
  void On(RequestsMessage& message);
  void On(UpgradeMessage& message);
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
  void DropDeadMounts();
  Result<void> Become(int program, std::uint64_t request);
  void StartSuccessor();
  void ReadSuccessor();
  void DropSuccessor(std::string why);
  void OnRetirementOver();
  void MeetHolder(Clock::time_point now);
  void KeepAtHolder(SessionId id);
  void ForgetAtHolder(SessionId id);
  void AskToResume(SessionId id, KeptMount& mount);
  void Renew(KeptMounts::iterator mount);
  void NoteServing();
  void AnswerStarter(Result<void> result);
  void SendToWorker(const BrokerMessage& message);
  void NoteSent(const Result<void>& sent);
  void AnswerIfDone();
  bool AnyResuming() const;
  void StopIfIdle();
  void Stop();
  void UnmountAll(UnmountMode mode);
  bool AllUnmounted() const;
  void Detach(SessionId id, KeptMount& mount);
  void Abort(SessionId id, const KeptMount& mount);
  void Discard(KeptMounts::iterator mount);
  void AbortAll();
  void End(int exit_code);

  Options options_;
  Phase phase_ = Phase::kStarting;
  int exit_code_ = 0;
  Fd signals_;
  std::optional<WorkerProcess> worker_;
  bool channel_open_ = false;
  bool bye_ = false;
  KeptMounts mounts_;
  SessionId next_session_ = 1;
  std::map<std::uint64_t, MountSpec> pending_;  ///< add_mount requests without an answer.
  std::uint64_t next_request_ = 1;
  std::uint64_t first_request_ = 0;         ///< Of Options::first, until it was answered; 0: none.
  std::optional<WorkerProcess> successor_;  ///< Started, and waits for worker_ to retire.
  bool retiring_ = false;                   ///< worker_ was told to.
  std::optional<Clock::time_point> retire_until_;
  std::optional<HolderLink> holder_;
  Clock::time_point meet_holder_at_{};
  RestartPolicy restarts_;
  std::uint64_t pings_ = 0;  ///< Sent to the present worker.
  Clock::time_point last_ping_{};
  Clock::time_point next_ping_{};
  Clock::time_point last_pong_{};
  bool killed_ = false;  ///< The present worker, by the watchdog.
  std::optional<Clock::time_point> restart_at_;
  std::optional<Clock::time_point> drain_until_;
  std::optional<Clock::time_point> stop_until_;
};

}  // namespace modelfs::fs
