#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

#include "fetch/base/timer.h"

namespace modelfs::index {

/// How long requests of one origin usually take: until their first byte, and between two pieces of
/// a body. From that follows when one takes much longer than usual.
///
/// Threads: none of its own; guarded by its owner.
class Pace {
 public:
  using Clock = Timer::Clock;
  static constexpr std::size_t kRecent = 64;  ///< Requests that are remembered.
  static constexpr std::size_t kEnough = 16;  ///< So many tell what is usual.
  static constexpr std::chrono::milliseconds kLeastPatience{250};

  /// The first byte of a request that was sent at `sent` came `now`.
  void FirstByte(Clock::time_point sent, Clock::time_point now);
  /// A request is over, in whose body nothing came for `gap` at the longest.
  void LongestGap(Clock::duration gap);

  /// How long to wait for the next byte before that is much longer than usual: three times what 95
  /// of 100 take, and 250 ms. Nullopt: too little is known.
  std::optional<Clock::duration> Patience(bool for_first_byte) const;

  /// Whether at least two requests that were sent at `when` or later had their first byte as
  /// quickly as usual: the origin is well, and so is the link.
  bool OthersAreQuickSince(Clock::time_point when) const;

 private:
  struct First {
    Clock::time_point sent;
    Clock::duration took{};
  };
  template <class T>
  struct Ring {
    void Add(T value) { values[count++ % kRecent] = value; }
    std::size_t size() const { return count < kRecent ? count : kRecent; }
    std::array<T, kRecent> values{};
    std::size_t count = 0;
  };

  Clock::duration MostTake() const;

  Ring<First> first_;
  Ring<Clock::duration> gaps_;
};

}  // namespace modelfs::index
