#include "tests/bench/measurement.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>

namespace modelfs::bench {
namespace {

// More are not worth their room in the output.
constexpr std::size_t kMostTimes = 1000;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// The value below which the share `share` of `sorted` lies.
double Quantile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  const double place = share * static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(place))];
}

}  // namespace

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return modelfs::bench::Seconds(usage.ru_utime) + modelfs::bench::Seconds(usage.ru_stime);
}

Measurement::Measurement() : begun_(Clock::now()), cpu_before_(CpuSeconds()) {}

double Measurement::Seconds() const {
  return std::chrono::duration<double>(Clock::now() - begun_).count();
}

void Measurement::AddStep(Clock::time_point begun, std::uint64_t bytes) {
  useful_bytes_ += bytes;
  took_seconds_.push_back(std::chrono::duration<double>(Clock::now() - begun).count());
  done_at_seconds_.push_back(Seconds());
}

nlohmann::json Measurement::Summary(std::uint64_t span_bytes) const {
  const double seconds = Seconds();
  std::vector<double> sorted = took_seconds_;
  std::ranges::sort(sorted);
  nlohmann::json summary{
      {"bytes", span_bytes},
      {"useful_bytes", useful_bytes_},
      {"seconds", seconds},
      {"cpu_seconds", CpuSeconds() - cpu_before_},
      {"open_seconds", opened_},
      {"first_byte_seconds", done_at_seconds_.empty() ? 0 : done_at_seconds_.front()},
      {"steps", sorted.size()},
      {"p50_ms", Quantile(sorted, 0.5) * 1000},
      {"p99_ms", Quantile(sorted, 0.99) * 1000},
      {"max_ms", Quantile(sorted, 1) * 1000}};
  if (done_at_seconds_.size() <= kMostTimes) summary["done_at_seconds"] = done_at_seconds_;
  return summary;
}

}  // namespace modelfs::bench
