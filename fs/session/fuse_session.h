#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "fs/session/device.h"
#include "fs/session/operations.h"
#include "fs/session/session.h"

namespace modelfs::fs {

/// Session on libfuse's low-level API with our own reading, writing and threads.
class FuseSession final : public Session {
 public:
  FuseSession(std::shared_ptr<Tree> tree, Options options);
  ~FuseSession() override;

  /// Hands `device` to libfuse, answers FUSE_INIT and starts the threads.
  Result<void> Begin(Fd device);

  void Stop() override;
  void Leave() override;
  bool Hangs(std::chrono::milliseconds limit) const override;
  PassthroughState passthrough() const override;
  std::size_t Parked() const override;

 private:
  /// What parked requests need after the session is gone: libfuse's session, and what its hooks
  /// and callbacks touch.
  struct Core {
    std::unique_ptr<Device> device;
    std::unique_ptr<Operations> operations;
    Handle<fuse_session, fuse_session_destroy> session;
  };

  Result<void> Handshake();
  void ChoosePassthrough(std::span<const std::byte> init);
  bool UsesRecord(std::span<const std::byte> init) const;
  void TakeOver();
  Result<void> Replay(std::vector<std::byte> first);
  void Process(std::span<const std::byte> message);
  void Loop(std::size_t thread);
  void Tick();
  void EndThreads();

  const Options options_;
  const std::shared_ptr<Tree> tree_;
  const std::shared_ptr<Core> core_ = std::make_shared<Core>();
  const std::shared_ptr<ParkingLot> lot_;
  /// By `fuse-N` thread: when it took up what it works on; 0: it waits for a request.
  std::vector<std::atomic<std::chrono::steady_clock::rep>> busy_since_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> told_unmounted_ = false;
  Mutex tick_mutex_;
  CondVar tick_wake_;
  std::vector<std::jthread> threads_;
};

}  // namespace modelfs::fs
