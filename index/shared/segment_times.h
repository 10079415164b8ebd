#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

#include "fetch/base/mutex.h"

namespace modelfs::index::shared {

/// How long it took until segments of others showed, from when we knew of their claim, the latest
/// 32; and how late names show, the latest 8.
///
/// Threads: any.
class SegmentTimes {
 public:
  using Millis = std::chrono::milliseconds;

  void Add(Millis time) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    times_[count_++ % times_.size()] = time;
  }
  /// A claim that we had been told of, by not getting it, showed `time` later.
  void AddLateness(Millis time) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    late_[late_count_++ % late_.size()] = time;
  }
  /// How long a read waits for somebody else's segment: twice what 95 of 100 take, and as long as
  /// names take to show; at most `most`. `told`: its claim does not show yet.
  Millis Hedge(Millis most, bool told) const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const std::size_t known = std::min(count_, times_.size());
    if (known < 4 || (told && late_count_ == 0)) return most;
    auto sorted = times_;
    const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(known);
    std::sort(sorted.begin(), end);
    const Millis late = *std::max_element(late_.begin(), late_.end());
    return std::clamp(2 * sorted[known * 95 / 100] + late, Millis(100), most);
  }

 private:
  mutable Mutex mutex_;
  std::array<Millis, 32> times_ GUARDED_BY(mutex_){};
  std::size_t count_ GUARDED_BY(mutex_) = 0;
  std::array<Millis, 8> late_ GUARDED_BY(mutex_){};
  std::size_t late_count_ GUARDED_BY(mutex_) = 0;
};

}  // namespace modelfs::index::shared
