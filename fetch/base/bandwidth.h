#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "fetch/base/mutex.h"

namespace modelfs {

/// A limit on the bytes that arrive in a second, over all that share it.
///
/// Who receives asks before he takes a piece, and waits otherwise, so that the other side's window
/// closes. A piece is paid for after it was taken: the next one waits until it is.
///
///     time ----+==========+-----+=====+---->      = paid for by what was taken
///              piece             piece
///
/// Threads: any. Without a limit a question costs one atomic read.
class Bandwidth {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Need : std::uint8_t {
    kWaitedFor,  ///< Somebody waits for it: may go a quarter of a second into debt, so that it goes
                 ///< before all that is not.
    kAhead,      ///< It will be wanted.
  };
  static constexpr std::chrono::milliseconds kDebt{250};
  /// What was not used of a limit is lost after so long.
  static constexpr std::chrono::milliseconds kCredit{50};

  /// Bytes per second; 0: no limit.
  void SetLimit(std::uint64_t bytes_per_second) {
    limit_.store(bytes_per_second, std::memory_order_relaxed);
  }
  std::uint64_t limit() const { return limit_.load(std::memory_order_relaxed); }

  /// Takes `bytes`: zero. Or takes nothing and says how long to wait before asking again.
  Clock::duration Take(std::uint64_t bytes, Need need, Clock::time_point now = Clock::now())
      EXCLUDES(mutex_);
  /// How long until Take may succeed; zero: now.
  Clock::duration Delay(Need need, Clock::time_point now = Clock::now()) const EXCLUDES(mutex_);

 private:
  Clock::duration DelayLocked(Need need, Clock::time_point now) const REQUIRES(mutex_);

  std::atomic<std::uint64_t> limit_{0};
  mutable Mutex mutex_;
  Clock::time_point paid_until_ GUARDED_BY(mutex_){};
};

}  // namespace modelfs
