#include "index/fetch_size.h"

#include <algorithm>

namespace modelfs::index {
namespace {

constexpr double kLongestWait = 0.25;
constexpr double kLatencies = 4;
constexpr std::uint64_t kMost = 16u << 20;
constexpr double kWeight = 0.25;  ///< Of the newest measurement.

void Blend(double& mean, double sample) {
  mean = mean == 0 ? sample : mean + kWeight * (sample - mean);
}

}  // namespace

void FetchSize::Measured(std::chrono::nanoseconds to_first_byte, std::chrono::nanoseconds of_body,
                         std::uint64_t bytes) {
  using Seconds = std::chrono::duration<double>;
  const double body = std::max(Seconds(of_body).count(), 1e-6);
  const MutexLock lock(mutex_);
  Blend(latency_seconds_, Seconds(to_first_byte).count());
  Blend(bytes_per_second_, static_cast<double>(bytes) / body);
}

std::uint64_t FetchSize::Chunks() const {
  const MutexLock lock(mutex_);
  const double bytes = bytes_per_second_ * std::max(kLongestWait, kLatencies * latency_seconds_);
  const double chunks = bytes / static_cast<double>(chunk_bytes_);
  const auto most = static_cast<double>(std::max<std::uint64_t>(1, kMost / chunk_bytes_));
  return static_cast<std::uint64_t>(std::clamp(chunks, 1.0, most));
}

}  // namespace modelfs::index
