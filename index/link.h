#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "fetch/base/mutex.h"
#include "index/cache.h"

namespace modelfs::index {

/// The way to the origins, as what came over it shows: how fast it is, how long a first byte takes,
/// and how fast one request alone can be. From that follows how much to ask for at once.
///
/// Threads: any.
class Link {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Link(std::uint64_t chunk_bytes) : chunk_bytes_(chunk_bytes) {}

  /// Bytes of a body came.
  void Arrived(std::uint64_t bytes, Clock::time_point now = Clock::now()) EXCLUDES(mutex_);
  /// A request is over, with `bytes` of body.
  void Finished(std::chrono::nanoseconds to_first_byte, std::chrono::nanoseconds of_body,
                std::uint64_t bytes, Clock::time_point now = Clock::now()) EXCLUDES(mutex_);
  /// A request that a reader waits for begins, or is over.
  void DemandBegan() EXCLUDES(mutex_);
  void DemandEnded(Clock::time_point now = Clock::now()) EXCLUDES(mutex_);

  /// How large a request should be: large enough that the wait for its first byte is a small part
  /// of it, small enough that its last byte is here within a quarter of a second: rate of a request
  /// * max(1/4 s, 4 * latency), between one chunk and 16 MiB. Starts with one chunk. Smaller for a
  /// plan while somebody waits for something else.
  std::uint64_t RequestChunks(Priority priority, Clock::time_point now = Clock::now()) const
      EXCLUDES(mutex_);

  /// How many bytes of read-ahead may be under way: some times what fills the link, so that it is
  /// found out whether it can carry more. For a plan only just that while a reader waits for
  /// something else: what is under way already delays him.
  std::uint64_t WindowBytes(Priority priority, Clock::time_point now = Clock::now()) const
      EXCLUDES(mutex_);

 private:
  static constexpr std::chrono::milliseconds kTick{100};
  static constexpr std::size_t kTicks = 30;  ///< The fastest tick of three seconds is the rate.
  static constexpr std::chrono::seconds kEpoch{5};

  /// The best value of this epoch and the last one.
  struct Best {
    double now = 0;
    double before = 0;
  };

  void Advance(Clock::time_point now) REQUIRES(mutex_);
  bool DemandActive(Clock::time_point now) const REQUIRES(mutex_);
  double RequestBytes(Priority priority, Clock::time_point now) const REQUIRES(mutex_);
  double Rate() const REQUIRES(mutex_);

  const std::uint64_t chunk_bytes_;
  mutable Mutex mutex_;
  const Clock::time_point start_ = Clock::now();
  std::int64_t tick_ GUARDED_BY(mutex_) = 0;
  std::array<std::uint64_t, kTicks> arrived_ GUARDED_BY(mutex_){};
  Clock::time_point epoch_ GUARDED_BY(mutex_) = start_;
  Best least_latency_ GUARDED_BY(mutex_);  ///< Seconds; 0: not known.
  Best request_rate_ GUARDED_BY(mutex_);   ///< Of the fastest request, bytes per second.
  double mean_latency_ GUARDED_BY(mutex_) = 0;
  double mean_rate_ GUARDED_BY(mutex_) = 0;  ///< Of one request.
  int demands_ GUARDED_BY(mutex_) = 0;
  Clock::time_point last_demand_ GUARDED_BY(mutex_){};
};

}  // namespace modelfs::index
