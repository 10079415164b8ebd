#pragma once

#include <chrono>
#include <deque>
#include <optional>

namespace modelfs::fs {

/// Whether a worker that died is worth another try, and when: 5 deaths within a minute are the end.
class RestartPolicy {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kMaxDeaths = 5;
  static constexpr std::chrono::seconds kWindow{60};

  /// `first_delay`: before the first restart; before each further one four times longer.
  explicit RestartPolicy(std::chrono::milliseconds first_delay) : first_delay_(first_delay) {}

  /// Notes a death at `now`. How long to wait before the next start; nullopt: give up.
  std::optional<std::chrono::milliseconds> OnDeath(Clock::time_point now) {
    while (!deaths_.empty() && now - deaths_.front() > kWindow) deaths_.pop_front();
    deaths_.push_back(now);
    if (deaths_.size() >= kMaxDeaths) return std::nullopt;
    return first_delay_ * (1 << (2 * (deaths_.size() - 1)));
  }

 private:
  const std::chrono::milliseconds first_delay_;
  std::deque<Clock::time_point> deaths_;
};

}  // namespace modelfs::fs
