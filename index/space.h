#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/cache.h"

namespace modelfs::index {

class Space;

/// The right to allocate so many bytes; given back when destroyed.
class SpaceReservation {
 public:
  SpaceReservation() = default;
  SpaceReservation(std::shared_ptr<Space> space, std::uint64_t bytes)
      : space_(std::move(space)), bytes_(bytes) {}
  SpaceReservation(SpaceReservation&& o) noexcept
      : space_(std::move(o.space_)), bytes_(std::exchange(o.bytes_, 0)) {}
  SpaceReservation& operator=(SpaceReservation&& o) noexcept {
    std::swap(space_, o.space_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  SpaceReservation(const SpaceReservation&) = delete;
  SpaceReservation& operator=(const SpaceReservation&) = delete;
  ~SpaceReservation();

  explicit operator bool() const { return space_ != nullptr; }

 private:
  friend class Space;
  std::shared_ptr<Space> space_;
  std::uint64_t bytes_ = 0;
};

/// How much of the filesystem each object takes and when it was used last, against the limits.
/// What is reserved counts like what is allocated, so that writes under way cannot add up to more.
///
/// Threads: any. `mutex_` is a leaf.
class Space : public std::enable_shared_from_this<Space> {
 public:
  struct Object {
    std::uint64_t allocated_bytes = 0;
    std::uint64_t present_bytes = 0;  ///< Of its chunks.
    std::int64_t last_use = 0;        ///< Microseconds since the epoch.
    bool pinned = false;
  };
  struct Totals {
    std::uint64_t objects = 0;  ///< That take any space.
    std::uint64_t allocated_bytes = 0;
    std::uint64_t pinned_bytes = 0;
    std::uint64_t pinned_objects = 0;
  };

  void SetLimits(CacheLimits limits) EXCLUDES(mutex_);
  CacheLimits limits() const EXCLUDES(mutex_);

  /// Notes an object, in place of what was known of it.
  void Put(const std::string& digest, Object object) EXCLUDES(mutex_);
  /// Makes it known if it is not, as used `now`.
  void SetAllocated(const std::string& digest, std::uint64_t bytes, std::int64_t now)
      EXCLUDES(mutex_);
  /// As SetAllocated, and gives `written` back, whose bytes are among `bytes`. Where others are
  /// being written to the object too (`more_to_come`), their blocks may be among them already, and
  /// are reserved still: no more than what was reserved is added then.
  void Settle(const std::string& digest, std::uint64_t bytes, std::int64_t now,
              SpaceReservation written, bool more_to_come) EXCLUDES(mutex_);
  /// Nothing for an object that is not known.
  void SetPresent(const std::string& digest, std::uint64_t bytes) EXCLUDES(mutex_);
  void SetPinned(const std::string& digest, bool pinned) EXCLUDES(mutex_);
  /// Nothing for an object that is not known.
  void Touch(const std::string& digest, std::int64_t now) EXCLUDES(mutex_);
  void Remove(const std::string& digest) EXCLUDES(mutex_);
  std::optional<Object> Find(const std::string& digest) const EXCLUDES(mutex_);
  Totals totals() const EXCLUDES(mutex_);
  /// Of all objects that are known.
  std::vector<std::string> Digests() const EXCLUDES(mutex_);

  /// Objects that are not pinned and take space, least recently used first.
  std::vector<std::pair<std::string, Object>> Candidates() const EXCLUDES(mutex_);

  /// Whether an object of this size would leave room for others: a limit that it mostly fills is
  /// not to be spent on a guess.
  bool MayHold(std::uint64_t bytes) const EXCLUDES(mutex_);
  /// How many bytes have to go before `more` can be allocated. `free_bytes`: what the filesystem
  /// has left for us.
  std::uint64_t Missing(std::uint64_t more, std::uint64_t free_bytes) const EXCLUDES(mutex_);
  /// Nullopt when there is no room.
  std::optional<SpaceReservation> TryReserve(std::uint64_t bytes, std::uint64_t free_bytes)
      EXCLUDES(mutex_);

 private:
  friend class SpaceReservation;
  std::uint64_t MissingLocked(std::uint64_t more, std::uint64_t free_bytes) const REQUIRES(mutex_);
  void Count(const Object& object, int sign) REQUIRES(mutex_);
  void Release(std::uint64_t bytes) EXCLUDES(mutex_);

  mutable Mutex mutex_;
  CacheLimits limits_ GUARDED_BY(mutex_);
  std::uint64_t reserved_ GUARDED_BY(mutex_) = 0;
  Totals totals_ GUARDED_BY(mutex_);
  std::unordered_map<std::string, Object> objects_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::index
