#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <variant>

#include "fetch/base/fault_points.h"
#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "fs/app.h"
#include "fs/daemon/broker_client.h"
#include "fs/daemon/mounter.h"

namespace modelfs::fs {

/// The big half of a daemon: receives the supervisor's wishes and signals, and owns the App.
///
/// When its supervisor dies it serves on and waits for another one (fs/daemon/adoption.h), and ends
/// by itself with its last mount.
/// Threads: the caller's is the event loop; `mount` works off add_mount and resume_mount messages,
/// which wait.
class Worker {
 public:
  /// `channel` is connected to the supervisor. `faults` is borrowed; null: none.
  /// Requires: SIGTERM, SIGINT and SIGHUP are blocked.
  explicit Worker(BrokerChannel channel, FaultPoints* faults = nullptr);
  ~Worker();

  /// Serves until told to end. Returns the exit code.
  int Run();

 private:
  bool Start();
  void Serve();
  void OnMessage();
  void OnSignals();
  void OnWake();
  void OnSupervisorGone();
  void OnAdopter();
  void StopListening();
  void DetachMounts();
  void EndIfAlone();
  template <class Wish>
  void Enqueue(Wish wish);
  void MountLoop();
  Result<void> Do(const AddMountMessage& wish);
  Result<void> Do(ResumeMountMessage& wish);
  int End();

  BrokerClient broker_;
  FaultPoints* const faults_;
  Fd signals_;
  Fd wake_;  ///< eventfd: something is in gone_ or unusable_.
  bool ending_ = false;
  int exit_code_ = 0;
  bool alone_ = false;  ///< The supervisor is gone.
  Fd adopters_;         ///< Where another one may come.
  StopMode stop_mode_ = StopMode::kFinal;
  std::unique_ptr<App> app_;
  Mutex mutex_;
  CondVar wanted_changed_;
  std::deque<SessionId> gone_ GUARDED_BY(mutex_);
  std::optional<Error> unusable_ GUARDED_BY(mutex_);
  std::deque<std::variant<AddMountMessage, ResumeMountMessage>> wanted_ GUARDED_BY(mutex_);
  std::map<SessionId, Fd> nodes_ GUARDED_BY(mutex_);     ///< Of mounts in wanted_.
  std::map<SessionId, Fd> requests_ GUARDED_BY(mutex_);  ///< Likewise.
  bool no_more_ GUARDED_BY(mutex_) = false;
  std::jthread mounting_;
};

}  // namespace modelfs::fs
