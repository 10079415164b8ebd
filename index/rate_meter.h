#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "fetch/base/mutex.h"

namespace modelfs::index {

/// Bytes per second over the last few seconds.
///
/// Threads: any.
class RateMeter {
 public:
  using Clock = std::chrono::steady_clock;

  void Add(std::uint64_t bytes, Clock::time_point now = Clock::now()) {
    const MutexLock lock(mutex_);
    Advance(now);
    slots_[Slot(newest_)] += bytes;
  }

  double PerSecond(Clock::time_point now = Clock::now()) {
    const MutexLock lock(mutex_);
    Advance(now);
    std::uint64_t sum = 0;
    for (const std::uint64_t s : slots_) sum += s;
    const std::int64_t ticks = newest_ < kSlots ? newest_ + 1 : kSlots;
    return static_cast<double>(sum) * (1000.0 / kTick.count()) / static_cast<double>(ticks);
  }

 private:
  static constexpr std::chrono::milliseconds kTick{250};
  static constexpr std::int64_t kSlots = 12;  // three seconds

  static std::size_t Slot(std::int64_t tick) { return static_cast<std::size_t>(tick % kSlots); }
  void Advance(Clock::time_point now) REQUIRES(mutex_) {
    const std::int64_t tick = (now - start_) / kTick;
    if (tick - newest_ > kSlots) newest_ = tick - kSlots;
    while (newest_ < tick) slots_[Slot(++newest_)] = 0;
  }

  Mutex mutex_;
  const Clock::time_point start_ = Clock::now();
  std::int64_t newest_ GUARDED_BY(mutex_) = 0;
  std::array<std::uint64_t, kSlots> slots_ GUARDED_BY(mutex_){};
};

}  // namespace modelfs::index
