#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace modelfs::fs {

/// How far a job is, as text: bytes, rate over the last few seconds, time left.
/// Threads: one.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  struct Count {
    std::uint64_t bytes_done = 0;
    std::uint64_t bytes_total = 0;  ///< 0: not known yet.
    std::uint64_t files_done = 0;
    std::uint64_t files_total = 0;
  };

  /// Nothing to do is known of so far.
  bool empty() const { return count_.bytes_total == 0 && count_.files_total == 0; }
  void Update(Clock::time_point now, const Count& count);

  /// Over the last 5 s of updates; 0 before there are two.
  double BytesPerSecond() const;

  /// "42%  600 MiB of 1.4 GiB  3 of 31 files  85 MiB/s  9 s left".
  std::string Text() const;
  /// The same with a bar in front, at most `columns` wide.
  std::string Bar(int columns) const;

 private:
  struct Sample {
    Clock::time_point when;
    std::uint64_t bytes_done;
  };
  int Percent() const;

  Count count_;
  std::deque<Sample> samples_;
};

}  // namespace modelfs::fs
