#include "index/shared/tier_health.h"

#include <algorithm>
#include <utility>

namespace modelfs::index::shared {

void BusyRate::Began(Clock::time_point now) {
  if (under_way_++ == 0) since_ = now;
}

void BusyRate::Ended(Clock::time_point now) {
  if (under_way_ == 0) return;  // Begun before it was forgotten.
  busy_ += Seconds(now - std::exchange(since_, now)).count();
  --under_way_;
  if (busy_ > kMemory) {
    busy_ /= 2;
    bytes_ /= 2;
  }
}

void BusyRate::Forget() {
  busy_ = 0;
  bytes_ = 0;
}

double BusyRate::PerSecond(Clock::time_point now, double enough) const {
  const double busy = busy_ + (under_way_ > 0 ? Seconds(now - since_).count() : 0);
  return bytes_ == 0 || busy < enough ? 0 : bytes_ / std::max(busy, 1e-6);
}

bool TierHealth::Down(const std::string& why, std::chrono::milliseconds retry,
                      Clock::time_point now) {
  const MutexLock lock(mutex_);
  retry_at_ = now + retry;
  reason_ = why;
  return !std::exchange(down_, true);
}

void TierHealth::Up() {
  const MutexLock lock(mutex_);
  down_ = false;
  reason_.clear();
}

bool TierHealth::answers() const {
  const MutexLock lock(mutex_);
  return !down_;
}

std::string TierHealth::reason() const {
  const MutexLock lock(mutex_);
  return down_ ? reason_ : slow_ ? "slower than the origin" : "";
}

bool TierHealth::RetryDue(Clock::time_point now) {
  const MutexLock lock(mutex_);
  if (!down_ || now < retry_at_) return false;
  retry_at_ = now + kRetry;
  return true;
}

TierHealth::Way TierHealth::Choose(std::move_only_function<void()>& later, Clock::time_point now) {
  const MutexLock lock(mutex_);
  if (down_) return Way::kOrigin;
  if (trial_ || origin_trial_) {
    waiting_.push_back(std::move(later));
    return Way::kWait;
  }
  if (!known_) {
    trial_ = true;  // One block at a time, until it is.
  } else if (slow_) {
    if (now < trial_at_) return Way::kOrigin;
    trial_at_ = now + kRetry;
    shared_.Forget();
  } else if (const double rate = shared_.PerSecond(now, kEnough);
             rate > 0 && rate < kPlenty && origin_.PerSecond(now, kEnoughOfOrigin) == 0) {
    origin_trial_ = true;  // Slow it is, but compared with what?
    return Way::kOrigin;
  }
  shared_.Began(now);
  return Way::kShared;
}

/// Whether the origin is the better choice, where both are known.
void TierHealth::Judge(Clock::time_point now) {
  const double shared = shared_.PerSecond(now, slow_ ? 0 : kEnough);
  const double origin = origin_.PerSecond(now, kEnoughOfOrigin);
  if (shared == 0 || origin == 0) return;
  const bool slow = shared * kTooSlow < origin;
  if (slow && !slow_) trial_at_ = now + kRetry;
  slow_ = slow;
}

std::vector<std::move_only_function<void()>> TierHealth::SharedEnded(std::uint64_t bytes,
                                                                     Clock::time_point now) {
  const MutexLock lock(mutex_);
  shared_.Arrived(bytes);
  shared_.Ended(now);
  read_bytes_ += bytes;
  known_ = known_ || read_bytes_ >= kKnownBytes || shared_.PerSecond(now, kEnough) > 0;
  trial_ = false;
  Judge(now);
  return std::exchange(waiting_, {});
}

std::vector<std::move_only_function<void()>> TierHealth::OriginEnded(Clock::time_point now) {
  const MutexLock lock(mutex_);
  origin_.Ended(now);
  if (!std::exchange(origin_trial_, false)) return {};
  Judge(now);
  return std::exchange(waiting_, {});
}

void TierHealth::OriginBegan(Clock::time_point now) {
  const MutexLock lock(mutex_);
  origin_.Began(now);
}

void TierHealth::OriginArrived(std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  origin_.Arrived(bytes);
}

bool TierHealth::slow() const {
  const MutexLock lock(mutex_);
  return slow_;
}

}  // namespace modelfs::index::shared
