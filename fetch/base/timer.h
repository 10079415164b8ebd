#pragma once

#include <chrono>
#include <functional>
#include <stop_token>

namespace modelfs {

/// Runs things later, so that nobody sleeps. The seam where tests put a clock of their own.
class Timer {
 public:
  using Clock = std::chrono::steady_clock;
  virtual ~Timer() = default;

  /// The timer's own idea of the present.
  virtual Clock::time_point Now() const = 0;

  /// Calls `task` once, on the timer's thread, with no lock held: after `delay`, or as soon as
  /// `stop` asks to stop or the timer itself ends. `task` must not wait; it asks `stop` itself
  /// whether it came early.
  /// Threads: any. Returns at once.
  virtual void After(std::chrono::milliseconds delay, std::stop_token stop,
                     std::move_only_function<void()> task) = 0;
};

}  // namespace modelfs
