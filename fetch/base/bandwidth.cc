#include "fetch/base/bandwidth.h"

#include <algorithm>

namespace modelfs {

Bandwidth::Clock::duration Bandwidth::DelayLocked(Need need, Clock::time_point now) const {
  const Clock::duration debt =
      need == Need::kWaitedFor ? Clock::duration(kDebt) : Clock::duration();
  return std::max(paid_until_ - debt - now, Clock::duration());
}

Bandwidth::Clock::duration Bandwidth::Delay(Need need, Clock::time_point now) const {
  if (limit() == 0) return {};
  const MutexLock lock(mutex_);
  return DelayLocked(need, now);
}

Bandwidth::Clock::duration Bandwidth::Take(std::uint64_t bytes, Need need, Clock::time_point now) {
  const std::uint64_t limit = this->limit();
  if (limit == 0) return {};
  const MutexLock lock(mutex_);
  if (const Clock::duration delay = DelayLocked(need, now); delay > Clock::duration()) return delay;
  const std::chrono::duration<double> cost(static_cast<double>(bytes) / static_cast<double>(limit));
  paid_until_ = std::max(paid_until_, now - kCredit) + std::chrono::ceil<Clock::duration>(cost);
  return {};
}

}  // namespace modelfs
