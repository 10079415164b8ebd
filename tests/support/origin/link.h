#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"

namespace modelfs::test {

/// How far away the origin pretends to be.
struct LinkOptions {
  std::chrono::microseconds latency{0};  ///< Before the first byte of each response.
  double connection_rate = 0;            ///< Bytes per second of each connection; 0: no limit.
  double total_rate = 0;                 ///< Of all connections together; 0: no limit.

  bool shaped() const { return connection_rate > 0 || total_rate > 0; }
};

/// Parses "85MB/s", "100 MiB/s", "1Gbit/s", "1000" (bytes), "0" (no limit) into bytes per second.
/// Errors: kInvalid.
Result<double> ParseRate(std::string_view text);
/// Parses "20ms", "1.5s", "300us", "0".
/// Errors: kInvalid.
Result<std::chrono::microseconds> ParseDuration(std::string_view text);

/// Time at which a stream of bytes at some rate is free for the next one.
struct Pace {
  std::chrono::steady_clock::time_point free_at{};
};

/// Makes responses wait: for the latency, for their turn on the link, for a stall to be released.
///
/// Bytes are handed out in slices of about 4 ms each, in the order in which connections ask, so
/// that the flow is smooth and the connections share it fairly. Threads: any; a waiter blocks its
/// own thread only. Every wait ends early when `Close` is called or `gone` (asked some 20 times a
/// second) says that the client went away.
class Link {
 public:
  using Gone = std::function<bool()>;

  explicit Link(const LinkOptions& options) : options_(options) {}

  void Set(const LinkOptions& options);
  LinkOptions options() const;

  /// False when the wait ended early.
  bool Delay(std::chrono::microseconds time, const Gone& gone);

  /// Waits until up to `want` bytes may be sent and returns how many; 0 when the wait ended early.
  /// `connection` is the caller's own. `own_rate`: a further limit in bytes per second for this
  /// response alone; 0 for none.
  std::size_t Acquire(Pace& connection, std::size_t want, double own_rate, const Gone& gone);

  /// Waits for the next Release; false when the wait ended early.
  bool Stall(const Gone& gone);
  /// Lets go everyone who stalls now.
  void Release();
  std::size_t stalled() const;
  /// Waits until at least `count` responses stall; false when that took longer than `limit`.
  bool WaitForStalled(std::size_t count, std::chrono::milliseconds limit);

  /// Ends all waits, now and later.
  void Close();

 private:
  bool WaitUntil(std::chrono::steady_clock::time_point time, const Gone& gone,
                 std::uint64_t generation) REQUIRES(mutex_);

  mutable Mutex mutex_;
  CondVar changed_;
  CondVar stall_changed_;
  LinkOptions options_ GUARDED_BY(mutex_);
  Pace total_ GUARDED_BY(mutex_);
  std::uint64_t generation_ GUARDED_BY(mutex_) = 0;  ///< Of the options.
  std::uint64_t releases_ GUARDED_BY(mutex_) = 0;
  std::size_t stalled_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::test
