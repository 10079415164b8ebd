#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "fetch/base/mutex.h"
#include "fs/session/fuse_api.h"
#include "fs/session/reply.h"

namespace modelfs::fs {

class ParkingLot;

/// A request that waits for network or disk. Answered once, by whoever takes its reply first: its
/// completion, an interrupt (EINTR), its deadline (EIO) or the end of the session (EIO).
class Parked {
 public:
  Parked(fuse_req_t request, std::shared_ptr<ParkingLot> lot, std::uint64_t node,
         std::chrono::steady_clock::time_point deadline)
      : request_(request), lot_(std::move(lot)), node_(node), deadline_(deadline) {}

  /// The reply, for the first caller only.
  std::optional<Reply> Take();

 private:
  friend class ParkingLot;
  static void OnInterrupt(fuse_req_t request, void* self) noexcept;

  const fuse_req_t request_;
  const std::shared_ptr<ParkingLot> lot_;
  const std::uint64_t node_;  ///< 0: of no file.
  const std::chrono::steady_clock::time_point deadline_;
  std::atomic<bool> taken_ = false;
};

/// The parked requests of one session.
///
/// The kernel reads ahead, and asks once more, alone, for what that did not bring; so a read(2)
/// would wait for two deadlines. For a second after a read of a file missed its deadline, the next
/// ones of that file wait for a moment only.
///
/// Threads: any.
class ParkingLot : public std::enable_shared_from_this<ParkingLot> {
 public:
  /// `session` is the libfuse session's holder: it lives as long as a request is parked, because
  /// replies need it. `timeout`: 0 means that requests wait for ever.
  ParkingLot(std::shared_ptr<void> session, std::chrono::milliseconds timeout)
      : session_(std::move(session)), timeout_(timeout) {}

  /// Parks `request`, a read of file `node` if that is not 0. An interrupt that came before is
  /// answered inside this call.
  std::shared_ptr<Parked> Park(fuse_req_t request, std::uint64_t node = 0) EXCLUDES(mutex_);

  /// Fails with EIO what has passed its deadline.
  void Expire(std::chrono::steady_clock::time_point now);
  /// Fails all with EIO; what is parked later is failed at once.
  void Close();
  std::size_t size() const;

 private:
  friend class Parked;
  using Clock = std::chrono::steady_clock;
  void Forget(Parked* parked);
  Clock::time_point DeadlineOf(std::uint64_t node, Clock::time_point now) const EXCLUDES(mutex_);

  const std::shared_ptr<void> session_;
  const std::chrono::milliseconds timeout_;
  mutable Mutex mutex_;
  bool closed_ GUARDED_BY(mutex_) = false;
  std::unordered_map<Parked*, std::shared_ptr<Parked>> parked_ GUARDED_BY(mutex_);
  std::unordered_map<std::uint64_t, Clock::time_point> late_ GUARDED_BY(mutex_);  ///< Files, since.
};

}  // namespace modelfs::fs
