#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

#include "fetch/base/mutex.h"
#include "fetch/base/timer_thread.h"

namespace modelfs::index::shared {

/// A TimerThread that can be ended before those who use it. What is asked of it afterwards never
/// comes.
///
/// Threads: After from any, also with locks held; End from none of its tasks.
class EndableTimer final : public Timer {
 public:
  Clock::time_point Now() const override { return Clock::now(); }
  void After(std::chrono::milliseconds delay, std::stop_token stop,
             std::move_only_function<void()> task) override EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (thread_) thread_->After(delay, std::move(stop), std::move(task));
  }
  /// Runs what is left, early, and joins.
  void End() EXCLUDES(mutex_) {
    std::unique_ptr<TimerThread> thread;
    const MutexLock lock(mutex_);
    thread.swap(thread_);
  }

 private:
  Mutex mutex_;
  std::unique_ptr<TimerThread> thread_ GUARDED_BY(mutex_) = std::make_unique<TimerThread>();
};

}  // namespace modelfs::index::shared
