#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/buffer_pool.h"

namespace modelfs::index {

/// The few buffers that a stream goes round with: one comes back as soon as its chunk is on disk.
/// They are its own, so that it needs nobody's leave to go on.
///
/// Threads: any.
class StreamWindow {
 public:
  /// Takes all that `reservation` is good for.
  explicit StreamWindow(Reservation reservation) {
    const MutexLock lock(mutex_);
    while (reservation.count() > 0) free_.push_back(reservation.Take());
  }

  /// Waits for one to come back when there is none; an empty Buffer when none did in time.
  Buffer Take(std::chrono::milliseconds limit) EXCLUDES(mutex_) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const MutexLock lock(mutex_);
    while (free_.empty()) {
      if (!came_back_.WaitUntil(mutex_, deadline) && free_.empty()) return {};
    }
    Buffer buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }

  void GiveBack(Buffer buffer) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    free_.push_back(std::move(buffer));
    came_back_.NotifyOne();
  }

 private:
  Mutex mutex_;
  CondVar came_back_;
  std::vector<Buffer> free_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::index
