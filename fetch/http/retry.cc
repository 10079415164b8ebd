#include "fetch/http/retry.h"

#include <algorithm>

namespace modelfs::fetch {

using std::chrono::milliseconds;

bool RetryBudget::Take(int tokens) {
  MutexLock lock(mutex_);
  if (tokens_ < tokens) return false;
  tokens_ -= tokens;
  return true;
}

void RetryBudget::Return(int tokens) {
  MutexLock lock(mutex_);
  tokens_ = std::min(kCapacity, tokens_ + tokens);
}

int RetryBudget::Left() const {
  MutexLock lock(mutex_);
  return tokens_;
}

RetryPolicy::RetryPolicy(RetryOptions options, std::shared_ptr<RetryBudget> budget,
                         const Random& random, Timer::Clock::time_point now)
    : options_(options), budget_(std::move(budget)), random_(random), since_(now) {}

std::optional<milliseconds> RetryPolicy::Next(RetryKind kind,
                                              std::optional<milliseconds> server_asks,
                                              Timer::Clock::time_point now) {
  const auto patience_left =
      options_.patience - std::chrono::duration_cast<milliseconds>(now - since_);
  const bool last_hope = attempts_ >= options_.max_attempts;
  if (last_hope && patience_left <= milliseconds(0)) return std::nullopt;
  const milliseconds base =
      kind == RetryKind::kThrottling ? options_.throttling_base : options_.transient_base;
  const int doublings = std::min(attempts_ - 1, 20);
  milliseconds ceiling = std::min(options_.cap, base * (std::int64_t{1} << doublings));
  milliseconds floor{0};
  if (const int cost = RetryBudget::Cost(kind); budget_->Take(cost)) {
    taken_ += cost;
  } else {
    ceiling = std::max(ceiling, options_.empty_budget_delay);
    floor = options_.empty_budget_delay / 2;
  }
  const double spread = static_cast<double>((ceiling - floor).count());
  milliseconds delay = floor + milliseconds(static_cast<std::int64_t>(random_() * spread));
  if (last_hope) delay = std::min(delay, patience_left);
  if (server_asks) delay = std::max(delay, std::min(*server_asks, options_.cap));
  const bool has_deadline = options_.deadline != Timer::Clock::time_point{};
  if (has_deadline && now + delay >= options_.deadline) return std::nullopt;
  ++attempts_;
  return delay;
}

void RetryPolicy::Progress(Timer::Clock::time_point now) {
  attempts_ = 1;
  since_ = now;
}

void RetryPolicy::Succeeded() {
  budget_->Return(taken_ == 0 ? 1 : taken_);
  taken_ = 0;
}

}  // namespace modelfs::fetch
