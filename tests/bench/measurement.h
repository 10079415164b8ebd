#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

namespace modelfs::bench {

using Clock = std::chrono::steady_clock;

/// Seconds of user and system time that this process has used.
double CpuSeconds();

/// What one pass cost. One thread, but for `AddStep`, which its caller serialises.
class Measurement {
 public:
  /// Time begins now.
  Measurement();

  void Opened() { opened_ = Seconds(); }
  /// A step that began at `begun` is done; its bytes are here.
  void AddStep(Clock::time_point begun, std::uint64_t bytes);
  /// Seconds since the beginning.
  double Seconds() const;

  /// The pass is over. `span_bytes`: of the file or object that it belongs to.
  nlohmann::json Summary(std::uint64_t span_bytes) const;

 private:
  Clock::time_point begun_;
  double cpu_before_;
  double opened_ = 0;
  std::uint64_t useful_bytes_ = 0;
  std::vector<double> took_seconds_;
  std::vector<double> done_at_seconds_;
};

}  // namespace modelfs::bench
