#include "index/space.h"

#include <algorithm>
#include <utility>

namespace modelfs::index {

SpaceReservation::~SpaceReservation() {
  if (space_) space_->Release(bytes_);
}

void Space::Release(std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  reserved_ -= bytes;
}

void Space::SetLimits(CacheLimits limits) {
  const MutexLock lock(mutex_);
  limits_ = limits;
}

CacheLimits Space::limits() const {
  const MutexLock lock(mutex_);
  return limits_;
}

void Space::Count(const Object& object, int sign) {
  const auto factor = static_cast<std::uint64_t>(sign);  // Wraps, as it should.
  totals_.allocated_bytes += factor * object.allocated_bytes;
  if (object.allocated_bytes > 0) totals_.objects += factor;
  if (!object.pinned) return;
  totals_.pinned_bytes += factor * object.allocated_bytes;
  totals_.pinned_objects += factor;
}

void Space::Put(const std::string& digest, Object object) {
  const MutexLock lock(mutex_);
  auto [it, fresh] = objects_.try_emplace(digest, object);
  if (!fresh) {
    Count(it->second, -1);
    it->second = object;
  }
  Count(object, 1);
}

void Space::SetPresent(const std::string& digest, std::uint64_t bytes) {
  const MutexLock lock(mutex_);
  if (const auto it = objects_.find(digest); it != objects_.end()) {
    it->second.present_bytes = bytes;
  }
}

void Space::SetAllocated(const std::string& digest, std::uint64_t bytes, std::int64_t now) {
  Settle(digest, bytes, now, {}, false);
}

void Space::Settle(const std::string& digest, std::uint64_t bytes, std::int64_t now,
                   SpaceReservation written, bool more_to_come) {
  const MutexLock lock(mutex_);
  Object& object = objects_.try_emplace(digest, Object{.last_use = now}).first->second;
  Count(object, -1);
  if (more_to_come) bytes = std::min(bytes, object.allocated_bytes + written.bytes_);
  object.allocated_bytes = bytes;
  Count(object, 1);
  reserved_ -= std::exchange(written.bytes_, 0);
}

void Space::SetPinned(const std::string& digest, bool pinned) {
  const MutexLock lock(mutex_);
  Object& object = objects_[digest];
  Count(object, -1);
  object.pinned = pinned;
  Count(object, 1);
}

void Space::Touch(const std::string& digest, std::int64_t now) {
  const MutexLock lock(mutex_);
  if (const auto it = objects_.find(digest); it != objects_.end()) it->second.last_use = now;
}

void Space::Remove(const std::string& digest) {
  const MutexLock lock(mutex_);
  const auto it = objects_.find(digest);
  if (it == objects_.end()) return;
  Count(it->second, -1);
  objects_.erase(it);
}

std::optional<Space::Object> Space::Find(const std::string& digest) const {
  const MutexLock lock(mutex_);
  const auto it = objects_.find(digest);
  return it == objects_.end() ? std::nullopt : std::optional(it->second);
}

Space::Totals Space::totals() const {
  const MutexLock lock(mutex_);
  return totals_;
}

std::vector<std::string> Space::Digests() const {
  std::vector<std::string> digests;
  const MutexLock lock(mutex_);
  digests.reserve(objects_.size());
  for (const auto& [digest, object] : objects_) digests.push_back(digest);
  return digests;
}

std::vector<std::pair<std::string, Space::Object>> Space::Candidates() const {
  std::vector<std::pair<std::string, Object>> candidates;
  {
    const MutexLock lock(mutex_);
    for (const auto& [digest, object] : objects_) {
      if (!object.pinned && object.allocated_bytes > 0) candidates.emplace_back(digest, object);
    }
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const auto& a, const auto& b) { return a.second.last_use < b.second.last_use; });
  return candidates;
}

std::uint64_t Space::MissingLocked(std::uint64_t more, std::uint64_t free_bytes) const {
  std::uint64_t missing = 0;
  const std::uint64_t wanted = totals_.allocated_bytes + reserved_ + more;
  if (limits_.size_bytes > 0 && wanted > limits_.size_bytes) missing = wanted - limits_.size_bytes;
  const std::uint64_t needed = limits_.free_floor_bytes + reserved_ + more;
  if (limits_.free_floor_bytes > 0 && needed > free_bytes) {
    missing = std::max(missing, needed - free_bytes);
  }
  return missing;
}

bool Space::MayHold(std::uint64_t bytes) const {
  const MutexLock lock(mutex_);
  return limits_.size_bytes == 0 || bytes <= limits_.size_bytes / 4 * 3;
}

std::uint64_t Space::Missing(std::uint64_t more, std::uint64_t free_bytes) const {
  const MutexLock lock(mutex_);
  return MissingLocked(more, free_bytes);
}

std::optional<SpaceReservation> Space::TryReserve(std::uint64_t bytes, std::uint64_t free_bytes) {
  const MutexLock lock(mutex_);
  if (MissingLocked(bytes, free_bytes) > 0) return std::nullopt;
  reserved_ += bytes;
  return SpaceReservation(shared_from_this(), bytes);
}

}  // namespace modelfs::index
