#include "index/health.h"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace modelfs::index {
namespace {

constexpr std::chrono::seconds kLongestPause{60};

}  // namespace

bool HealthState::ShouldProbe(std::chrono::milliseconds least) const {
  const MutexLock lock(mutex_);
  const std::chrono::milliseconds pause =
      std::min<std::chrono::milliseconds>(least * (1 << relapses_), kLongestPause);
  return Clock::now() - degraded_at_ >= pause;
}

std::string HealthState::reason() const {
  const MutexLock lock(mutex_);
  return reason_;
}

void HealthState::Degrade(const Error& cause) {
  {
    const MutexLock lock(mutex_);
    if (degraded_.load(std::memory_order_relaxed)) return;
    reason_ = cause.what;
    degraded_at_ = Clock::now();
    relapses_ = degraded_at_ - healed_at_ < kLongestPause ? std::min(relapses_ + 1, 10) : 0;
    degraded_.store(true, std::memory_order_release);
  }
  spdlog::error(
      "cache.degraded reason=\"{}\" code={} mend=\"reads go to the origin until the disk "
      "takes writes again\"",
      cause.what, ToString(cause.code));
}

void HealthState::Heal() {
  {
    const MutexLock lock(mutex_);
    if (!degraded_.load(std::memory_order_relaxed)) return;
    reason_.clear();
    healed_at_ = Clock::now();
    degraded_.store(false, std::memory_order_release);
  }
  spdlog::info("cache.healed");
}

}  // namespace modelfs::index
