#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"

namespace modelfs::test {

/// A clock that a test moves, for what runs on several threads. Tasks run in Advance, on the test's
/// thread. Threads: any.
class ManualTimer final : public Timer {
 public:
  Clock::time_point Now() const override {
    const MutexLock lock(mutex_);
    return now_;
  }
  void After(std::chrono::milliseconds delay, std::stop_token /*stop*/,
             std::move_only_function<void()> task) override {
    const MutexLock lock(mutex_);
    waiting_.push_back({now_ + delay, std::move(task)});
  }
  /// Goes on by `by`, and runs what becomes due on the way, at its time.
  void Advance(std::chrono::milliseconds by) {
    const Clock::time_point end = Now() + by;
    while (auto task = NextUntil(end)) task();
    const MutexLock lock(mutex_);
    now_ = end;
  }

 private:
  struct Waiting {
    Clock::time_point at;
    std::move_only_function<void()> task;
  };
  std::move_only_function<void()> NextUntil(Clock::time_point end) {
    const MutexLock lock(mutex_);
    auto next = waiting_.end();
    for (auto w = waiting_.begin(); w != waiting_.end(); ++w) {
      if (w->at <= end && (next == waiting_.end() || w->at < next->at)) next = w;
    }
    if (next == waiting_.end()) return nullptr;
    now_ = std::max(now_, next->at);
    auto task = std::move(next->task);
    waiting_.erase(next);
    return task;
  }

  mutable Mutex mutex_;
  Clock::time_point now_ GUARDED_BY(mutex_) = Clock::time_point{} + std::chrono::hours(1);
  std::vector<Waiting> waiting_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::test
