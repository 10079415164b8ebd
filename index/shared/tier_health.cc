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

bool TierHealth::Down(const std::string& why, Clock::time_point now) {
  const MutexLock lock(mutex_);
  retry_at_ = now + kRetry;
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
  if (!known_) {
    if (trial_) {
      waiting_.push_back(std::move(later));
      return Way::kWait;
    }
    trial_ = true;
  } else if (slow_) {
    if (now < trial_at_) return Way::kOrigin;
    trial_at_ = now + kRetry;
    shared_.Forget();
  }
  shared_.Began(now);
  return Way::kShared;
}

std::vector<std::move_only_function<void()>> TierHealth::SharedEnded(std::uint64_t bytes,
                                                                     Clock::time_point now) {
  const MutexLock lock(mutex_);
  shared_.Arrived(bytes);
  shared_.Ended(now);
  known_ = known_ || bytes > 0;
  trial_ = false;
  const double shared = shared_.PerSecond(now, slow_ ? 0 : kEnough);
  const double origin = origin_.PerSecond(now, kEnough);
  if (shared > 0 && origin > 0) {
    const bool slow = shared * kTooSlow < origin;
    if (slow && !slow_) trial_at_ = now + kRetry;
    slow_ = slow;
  }
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

void TierHealth::OriginEnded(Clock::time_point now) {
  const MutexLock lock(mutex_);
  origin_.Ended(now);
}

bool TierHealth::slow() const {
  const MutexLock lock(mutex_);
  return slow_;
}

}  // namespace modelfs::index::shared
