#include "tests/support/script_fault_points.h"

#include <chrono>
#include <utility>

namespace modelfs::test {

void ScriptFaultPoints::FailNext(const std::string& point, Error error, std::uint64_t times) {
  const MutexLock lock(mutex_);
  Point& p = points_[point];
  p.error = std::move(error);
  p.failures = times;
  p.always = times == 0;
}

void ScriptFaultPoints::Heal(const std::string& point) {
  const MutexLock lock(mutex_);
  Point& p = points_[point];
  p.failures = 0;
  p.always = false;
}

void ScriptFaultPoints::Block(const std::string& point) {
  const MutexLock lock(mutex_);
  points_[point].blocked = true;
}

void ScriptFaultPoints::Unblock(const std::string& point) {
  const MutexLock lock(mutex_);
  points_[point].blocked = false;
  changed_.NotifyAll();
}

bool ScriptFaultPoints::AwaitHits(const std::string& point, std::uint64_t count) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const MutexLock lock(mutex_);
  while (points_[point].hits < count) {
    if (!changed_.WaitUntil(mutex_, deadline)) return points_[point].hits >= count;
  }
  return true;
}

std::uint64_t ScriptFaultPoints::hits(const std::string& point) const {
  const MutexLock lock(mutex_);
  const auto it = points_.find(point);
  return it == points_.end() ? 0 : it->second.hits;
}

std::optional<Error> ScriptFaultPoints::Hit(std::string_view point) {
  const MutexLock lock(mutex_);
  Point& p = points_[std::string(point)];  // References into a map stay valid.
  ++p.hits;
  changed_.NotifyAll();
  while (p.blocked) changed_.Wait(mutex_);
  if (p.always) return p.error;
  if (p.failures == 0) return std::nullopt;
  --p.failures;
  return p.error;
}

}  // namespace modelfs::test
