#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>

#include "fetch/base/mutex.h"
#include "index/cache.h"
#include "index/link.h"

namespace modelfs::index {

/// Someone with chunks to fetch that no reader waits for yet.
class Prefetcher {
 public:
  enum class Outcome : std::uint8_t {
    kStarted,    ///< One request is under way; there may be more to do.
    kNothing,    ///< No wish of this priority is left.
    kNoBuffers,  ///< Would have, but the buffers are in use.
  };
  virtual ~Prefetcher() = default;
  /// Starts at most one request, of `bytes`. Called with no lock held.
  virtual Outcome StartPrefetch(Priority priority, std::uint64_t& bytes) = 0;
};

/// Decides when the next read-ahead request may start: so many at once, over all objects, and of so
/// many bytes together as the link can carry; the more urgent first, objects in turn. Requests that
/// a reader waits for do not pass through here.
///
/// Threads: any. No lock is held while a Prefetcher is called.
class Loader {
 public:
  static constexpr int kMostInFlight = 32;
  static constexpr int kMostBackground = 2;

  /// `link` is borrowed.
  explicit Loader(const Link& link) : link_(link) {}

  /// `who` has wishes of `priority`.
  void Wake(std::shared_ptr<Prefetcher> who, Priority priority) EXCLUDES(mutex_);
  /// A request of `bytes` that StartPrefetch began is over.
  void Finished(std::uint64_t bytes) EXCLUDES(mutex_);
  /// Buffers came back.
  void RoomAgain() { Pump(); }
  /// Forgets all wishes; starts nothing any more.
  void Close() EXCLUDES(mutex_);

 private:
  struct Turn {
    std::shared_ptr<Prefetcher> who;
    Priority priority = Priority::kNear;
  };

  void Pump() EXCLUDES(mutex_);
  bool MayStart(Priority priority) const REQUIRES(mutex_);
  bool Next(Turn& turn) REQUIRES(mutex_);
  void Queue(std::shared_ptr<Prefetcher> who, Priority priority) REQUIRES(mutex_);

  const Link& link_;
  Mutex mutex_;
  std::array<std::deque<std::shared_ptr<Prefetcher>>, 4> queues_ GUARDED_BY(mutex_);
  int in_flight_ GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_in_flight_ GUARDED_BY(mutex_) = 0;
  bool pumping_ GUARDED_BY(mutex_) = false;
  bool again_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::index
