#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"

namespace modelfs::index {

/// Whether the disk keeps what it is given. Each change is logged once.
///
/// Threads: any. `mutex_` is a leaf.
class HealthState {
 public:
  bool degraded() const { return degraded_.load(std::memory_order_acquire); }
  std::string reason() const EXCLUDES(mutex_);
  /// `cause`: the failure of a write.
  void Degrade(const Error& cause) EXCLUDES(mutex_);
  void Heal() EXCLUDES(mutex_);
  /// Whether it is time to see if the disk works again: `least` after it was given up, and ever
  /// later (up to a minute) when it breaks again soon after it healed.
  bool ShouldProbe(std::chrono::milliseconds least) const EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;

  std::atomic<bool> degraded_{false};
  mutable Mutex mutex_;
  std::string reason_ GUARDED_BY(mutex_);
  int relapses_ GUARDED_BY(mutex_) = 0;
  Clock::time_point degraded_at_ GUARDED_BY(mutex_);
  Clock::time_point healed_at_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::index
