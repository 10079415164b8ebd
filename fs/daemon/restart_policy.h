#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>

namespace modelfs::fs {

/// Whether a worker that died is worth another try, and when.
///
/// Workers that die before they serve are given up after five in a row, each start four times later
/// than the one before: whatever ends them will not go away. One that served is replaced at once,
/// and later and later (up to a quarter of a second) when that happens often, but never given up:
/// its readers wait, and giving up would fail them.
class RestartPolicy {
 public:
  using Clock = std::chrono::steady_clock;
  using Delay = std::chrono::milliseconds;
  static constexpr std::size_t kMaxBarren = 5;
  static constexpr std::chrono::seconds kWindow{10};  ///< Deaths within it are "often".
  static constexpr Delay kLongest{250};

  explicit RestartPolicy(Delay first_delay) : first_delay_(first_delay) {}

  /// The worker answers for all its mounts.
  void OnServing() {
    served_ = true;
    barren_ = 0;
  }

  /// Notes a death at `now`. How long to wait before the next start; nullopt: give up.
  std::optional<Delay> OnDeath(Clock::time_point now) {
    if (!std::exchange(served_, false)) {
      if (++barren_ >= kMaxBarren) return std::nullopt;
      return first_delay_ * (1 << (2 * (barren_ - 1)));
    }
    while (!deaths_.empty() && now - deaths_.front() > kWindow) deaths_.pop_front();
    deaths_.push_back(now);
    if (deaths_.size() == 1) return Delay(0);
    const auto doublings = std::min<std::size_t>(deaths_.size() - 2, 10);
    return std::min(kLongest, first_delay_ * (1 << doublings));
  }

 private:
  const Delay first_delay_;
  bool served_ = false;
  std::size_t barren_ = 0;
  std::deque<Clock::time_point> deaths_;
};

}  // namespace modelfs::fs
