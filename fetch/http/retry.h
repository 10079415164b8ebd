#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"

namespace modelfs::fetch {

/// Why an attempt may be repeated.
enum class RetryKind : std::uint8_t {
  kTransient,   ///< Connection, timeout, 500, 502, 504: soon.
  kThrottling,  ///< 429, 503 SlowDown: the other side asks for less.
  kNonsense,    ///< An answer that makes no sense: soon, but only because whoever asks counts.
};

/// A number in [0, 1). Called from any thread.
using Random = std::function<double()>;

/// How much an endpoint's clients may retry together, so that an outage does not multiply load.
/// Numbers of botocore's 2026 retry mode: 500 tokens; a retry takes 14 (transient) or 5
/// (throttling) and gives them back when it succeeds; a success at the first try adds one. An
/// answer without sense costs nothing: its server is up, and one object's bad answers must not slow
/// down the others of the endpoint.
///
/// Threads: any.
class RetryBudget {
 public:
  static constexpr int kCapacity = 500;
  static constexpr int Cost(RetryKind kind) {
    switch (kind) {
      case RetryKind::kTransient: return 14;
      case RetryKind::kThrottling: return 5;
      case RetryKind::kNonsense: break;
    }
    return 0;
  }

  /// False, and nothing taken, when fewer than `tokens` are left.
  bool Take(int tokens) EXCLUDES(mutex_);
  void Return(int tokens) EXCLUDES(mutex_);
  int Left() const EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  int tokens_ GUARDED_BY(mutex_) = kCapacity;
};

struct RetryOptions {
  int max_attempts = 8;  ///< With the first. Then it gives up, if `patience` is over too.
  /// Goes on so long past `max_attempts`, counted from the start or the last progress: a failed
  /// page fault kills its reader, so a read outlives a restart of the server.
  std::chrono::milliseconds patience{0};
  /// No attempt begins after it; zero time point: none.
  Timer::Clock::time_point deadline{};
  std::chrono::milliseconds transient_base{50};
  std::chrono::milliseconds throttling_base{1'000};
  std::chrono::milliseconds cap{20'000};
  /// With an empty budget a retry waits between half of this and all of it instead: bounded load
  /// without failing whoever happens to read during an outage.
  std::chrono::milliseconds empty_budget_delay{5'000};
};

/// Decides when one operation is tried again: full jitter, rand * min(cap, base * 2^retry).
///
/// Threads: one at a time.
class RetryPolicy {
 public:
  /// `random` is borrowed.
  RetryPolicy(RetryOptions options, std::shared_ptr<RetryBudget> budget, const Random& random,
              Timer::Clock::time_point now);

  /// After a failed attempt: how long to wait before the next; nullopt: give up. `server_asks`: the
  /// answer's Retry-After or x-amz-retry-after, waited for up to `cap`.
  std::optional<std::chrono::milliseconds> Next(
      RetryKind kind, std::optional<std::chrono::milliseconds> server_asks,
      Timer::Clock::time_point now);
  /// The failed attempt brought something that will not be asked for again: count anew.
  void Progress(Timer::Clock::time_point now);
  /// The operation succeeded: what it took goes back to the budget.
  void Succeeded();

  int attempts() const { return attempts_; }
  const RetryOptions& options() const { return options_; }

 private:
  const RetryOptions options_;
  const std::shared_ptr<RetryBudget> budget_;
  const Random& random_;
  Timer::Clock::time_point since_;
  int attempts_ = 1;
  int taken_ = 0;
};

}  // namespace modelfs::fetch
