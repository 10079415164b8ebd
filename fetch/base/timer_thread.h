#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>

#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"

namespace modelfs {

/// Timer on a thread of its own, named `tick`. Its destructor runs what is left, early, and joins.
///
/// Lock order: `mutex_` is a leaf; no task and no stop callback runs under it.
class TimerThread final : public Timer {
 public:
  TimerThread();
  ~TimerThread() override;

  Clock::time_point Now() const override { return Clock::now(); }
  void After(std::chrono::milliseconds delay, std::stop_token stop,
             std::move_only_function<void()> task) override;

 private:
  struct Entry;
  // Due time and serial number: unique, and in order of arrival for equal times.
  using Key = std::pair<Clock::time_point, std::uint64_t>;

  void Run();
  void Expedite(std::uint64_t serial) EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::map<Key, std::shared_ptr<Entry>> queue_ GUARDED_BY(mutex_);
  std::unordered_map<std::uint64_t, Clock::time_point> due_ GUARDED_BY(mutex_);
  std::uint64_t next_serial_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace modelfs
