#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "fetch/base/timer.h"

namespace modelfs::test {

/// A clock that stands still until a test moves it. Threads: one.
class FakeTimer final : public Timer {
 public:
  Clock::time_point Now() const override { return now_; }

  void After(std::chrono::milliseconds delay, std::stop_token stop,
             std::move_only_function<void()> task) override {
    delays_.push_back(delay);
    waiting_.push_back({now_ + delay, std::move(stop), std::move(task)});
  }

  /// Goes to when the next task is due, or stays for one that was asked to stop, and runs it. False
  /// when none waits.
  bool RunNext() {
    const auto due = [](const Waiting& w) {
      return w.stop.stop_requested() ? Clock::time_point::min() : w.at;
    };
    const auto next = std::ranges::min_element(waiting_, {}, due);
    if (next == waiting_.end()) return false;
    now_ = std::max(now_, due(*next));
    auto task = std::move(next->task);
    waiting_.erase(next);
    task();
    return true;
  }

  void Advance(std::chrono::milliseconds by) { now_ += by; }
  std::size_t waiting() const { return waiting_.size(); }
  /// Every delay that was asked for, in order.
  const std::vector<std::chrono::milliseconds>& delays() const { return delays_; }

 private:
  struct Waiting {
    Clock::time_point at;
    std::stop_token stop;
    std::move_only_function<void()> task;
  };
  Clock::time_point now_ = Clock::time_point{} + std::chrono::hours(1);
  std::vector<Waiting> waiting_;
  std::vector<std::chrono::milliseconds> delays_;
};

}  // namespace modelfs::test
