#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <thread>

#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "fs/app.h"
#include "fs/daemon/broker_client.h"
#include "fs/daemon/mounter.h"

namespace modelfs::fs {

/// The big half of a daemon: receives the supervisor's wishes and signals, and owns the App.
///
/// When its supervisor dies it serves on, and ends by itself with its last mount.
/// Threads: the caller's is the event loop; `mount` works off add_mount messages, which wait.
class Worker {
 public:
  /// `channel` is connected to the supervisor. Requires: SIGTERM, SIGINT and SIGHUP are blocked.
  explicit Worker(BrokerChannel channel);
  ~Worker();

  /// Serves until told to end. Returns the exit code.
  int Run();

 private:
  bool Start();
  void Serve();
  void OnMessage();
  void OnSignals();
  void OnUnmounted();
  void OnSupervisorGone();
  void DetachMounts();
  void EndIfAlone();
  void MountLoop();
  int End();

  BrokerClient broker_;
  Fd signals_;
  Fd wake_;  ///< eventfd: something is in gone_.
  bool ending_ = false;
  bool alone_ = false;  ///< The supervisor is gone.
  std::unique_ptr<App> app_;
  Mutex mutex_;
  CondVar wanted_changed_;
  std::deque<SessionId> gone_ GUARDED_BY(mutex_);
  std::deque<AddMountMessage> wanted_ GUARDED_BY(mutex_);
  bool no_more_ GUARDED_BY(mutex_) = false;
  std::jthread mounting_;
};

}  // namespace modelfs::fs
