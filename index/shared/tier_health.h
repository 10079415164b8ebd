#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fetch/base/mutex.h"

namespace modelfs::index::shared {

/// Bytes per second of time in which anything was asked for at all.
class BusyRate {
 public:
  using Clock = std::chrono::steady_clock;
  void Began(Clock::time_point now);
  void Arrived(std::uint64_t bytes) { bytes_ += static_cast<double>(bytes); }
  void Ended(Clock::time_point now);
  void Forget();
  /// 0: not known, or of less than `enough` seconds.
  double PerSecond(Clock::time_point now, double enough) const;

 private:
  using Seconds = std::chrono::duration<double>;
  static constexpr double kMemory = 2;  ///< Seconds; what is older counts half.

  int under_way_ = 0;
  Clock::time_point since_;
  double busy_ = 0;
  double bytes_ = 0;
};

/// Whether a shared directory is worth asking: it may hang, or be so much slower than the origin
/// that the origin is the better choice. Both are tried again every ten seconds.
///
/// Threads: any. Lock order: a leaf.
class TierHealth {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kRetry{10};
  /// The origin is asked instead when it is so many times faster. Below, what others do not have to
  /// fetch from it is worth the time.
  static constexpr double kTooSlow = 3;
  /// Bytes per second that need no comparison: the origin is not asked just to be measured.
  static constexpr double kPlenty = 32e6;
  /// Seconds of use that a verdict against it takes: a few small reads mean nothing.
  static constexpr double kEnough = 0.25;
  static constexpr double kEnoughOfOrigin = 0.1;
  /// Bytes that it has given before more than one read is made at a time, if not for kEnough.
  static constexpr std::uint64_t kKnownBytes = 8u << 20;

  enum class Way : std::uint8_t {
    kShared,
    kOrigin,
    kWait,  ///< A measurement is under way; `later` is called when it is over.
  };

  /// It hangs. True: that is news.
  bool Down(const std::string& why, std::chrono::milliseconds retry = kRetry,
            Clock::time_point now = Clock::now()) EXCLUDES(mutex_);
  void Up() EXCLUDES(mutex_);
  /// Whether it may be asked anything.
  bool answers() const EXCLUDES(mutex_);
  /// Whether it is time to see if it answers again; true once per retry.
  bool RetryDue(Clock::time_point now = Clock::now()) EXCLUDES(mutex_);
  std::string reason() const EXCLUDES(mutex_);

  /// Where to read a published block from. kShared must be followed by SharedEnded.
  Way Choose(std::move_only_function<void()>& later, Clock::time_point now = Clock::now())
      EXCLUDES(mutex_);
  /// Bytes 0: it failed. Returns what waited for it.
  [[nodiscard]] std::vector<std::move_only_function<void()>> SharedEnded(
      std::uint64_t bytes, Clock::time_point now = Clock::now()) EXCLUDES(mutex_);
  void OriginBegan(Clock::time_point now = Clock::now()) EXCLUDES(mutex_);
  void OriginArrived(std::uint64_t bytes) EXCLUDES(mutex_);
  [[nodiscard]] std::vector<std::move_only_function<void()>> OriginEnded(
      Clock::time_point now = Clock::now()) EXCLUDES(mutex_);
  bool slow() const EXCLUDES(mutex_);

 private:
  void Judge(Clock::time_point now) REQUIRES(mutex_);

  mutable Mutex mutex_;
  bool down_ GUARDED_BY(mutex_) = false;
  std::string reason_ GUARDED_BY(mutex_);
  Clock::time_point retry_at_ GUARDED_BY(mutex_);
  BusyRate shared_ GUARDED_BY(mutex_);
  BusyRate origin_ GUARDED_BY(mutex_);
  bool known_ GUARDED_BY(mutex_) = false;         ///< Enough was read to know how fast it is.
  bool trial_ GUARDED_BY(mutex_) = false;         ///< A read is under way that the others wait for.
  bool origin_trial_ GUARDED_BY(mutex_) = false;  ///< Likewise, of the origin.
  std::uint64_t read_bytes_ GUARDED_BY(mutex_) = 0;  ///< From the directory.
  bool slow_ GUARDED_BY(mutex_) = false;
  Clock::time_point trial_at_ GUARDED_BY(mutex_);
  std::vector<std::move_only_function<void()>> waiting_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::index::shared
