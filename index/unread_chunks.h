#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "fetch/base/mutex.h"

namespace modelfs::index {

struct ChunkLoad;

/// Buffers of chunks that are on disk already, and that a reader has not had yet: what was fetched
/// ahead is served from memory once, and needs no page cache on its way through the disk. They are
/// few, and let go of when all of a chunk was read, after a moment, or when memory is short.
///
/// Threads: any. A leaf in the lock order.
class UnreadChunks {
 public:
  using Clock = std::chrono::steady_clock;
  /// A reader who follows a download has come by within so long.
  static constexpr std::chrono::seconds kKept{3};

  /// The right to keep one; goes back when destroyed.
  class Place {
   public:
    Place() = default;
    explicit Place(UnreadChunks* home) : home_(home) {}
    Place(Place&& o) noexcept : home_(std::exchange(o.home_, nullptr)) {}
    Place& operator=(Place&& o) noexcept {
      std::swap(home_, o.home_);
      return *this;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      if (home_ != nullptr) home_->taken_.fetch_sub(1, std::memory_order_relaxed);
    }
    explicit operator bool() const { return home_ != nullptr; }

   private:
    UnreadChunks* home_ = nullptr;
  };

  /// How many it keeps at most. Requires: nothing is kept.
  void SetLimit(std::size_t chunks) { limit_ = chunks; }

  /// A place for one more, if there is one. Must not outlive this.
  Place TryTake();
  /// Keeps `load`, of which `read_bytes` were read already. `object` only names whose it is.
  void Keep(const void* object, std::shared_ptr<const ChunkLoad> load, std::uint64_t read_bytes,
            Place place) EXCLUDES(mutex_);
  /// Null when it is not here. `bytes` of it are about to be read.
  std::shared_ptr<const ChunkLoad> Read(const void* object, std::uint64_t chunk,
                                        std::uint64_t bytes) EXCLUDES(mutex_);
  /// Whether one of [`first`, `last`] is here.
  bool Holds(const void* object, std::uint64_t first, std::uint64_t last) const EXCLUDES(mutex_);

  void Drop(const void* object, std::uint64_t chunk) EXCLUDES(mutex_);
  void DropAll(const void* object) EXCLUDES(mutex_);
  /// Of those that are too old.
  void Expire(Clock::time_point now) EXCLUDES(mutex_);
  void Clear() EXCLUDES(mutex_);

 private:
  struct Kept {
    Place place;
    std::shared_ptr<const ChunkLoad> load;
    std::uint64_t unread_bytes = 0;
    Clock::time_point until;
  };
  using Key = std::pair<const void*, std::uint64_t>;

  template <class Which>
  void DropIf(Which which) EXCLUDES(mutex_);

  std::size_t limit_ = 0;
  std::atomic<std::size_t> taken_{0};
  std::atomic<std::size_t> size_{0};  ///< Of kept_, for who would rather take no lock.
  mutable Mutex mutex_;
  std::map<Key, Kept> kept_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::index
