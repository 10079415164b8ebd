#include "index/link.h"

#include <algorithm>
#include <utility>

namespace modelfs::index {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr double kLongestWait = 0.25;
constexpr double kLatencies = 4;
constexpr double kMostRequest = 16u << 20;
constexpr double kMostRequestBesideDemand = 16u << 20;
constexpr double kWeight = 0.25;  ///< Of the newest measurement.

/// What is asked for before anything is known, and at the least.
constexpr double kLeastNear = 8u << 20;
constexpr double kLeastPlan = 4u << 20;
constexpr double kLeastBesideDemand = 2u << 20;
constexpr double kMostWindow = 256u << 20;
constexpr double kGain = 3;
constexpr double kGainBesideDemand = 3;
/// A reader who waited so recently will wait again.
constexpr std::chrono::milliseconds kDemandTime{250};

void Blend(double& mean, double sample) {
  mean = mean == 0 ? sample : mean + kWeight * (sample - mean);
}

}  // namespace

void Link::Advance(Clock::time_point now) {
  const std::int64_t tick = (now - start_) / kTick;
  constexpr auto kAll = static_cast<std::int64_t>(kTicks);
  if (tick - tick_ > kAll) tick_ = tick - kAll;
  while (tick_ < tick) arrived_[static_cast<std::size_t>(++tick_) % kTicks] = 0;
  if (now - epoch_ < kEpoch) return;
  epoch_ = now;
  for (Best* best : {&least_latency_, &request_rate_}) {
    if (best->now != 0) best->before = std::exchange(best->now, 0);
  }
}

void Link::Arrived(std::uint64_t bytes, Clock::time_point now) {
  const MutexLock lock(mutex_);
  Advance(now);
  arrived_[static_cast<std::size_t>(tick_) % kTicks] += bytes;
}

void Link::Finished(std::chrono::nanoseconds to_first_byte, std::chrono::nanoseconds of_body,
                    std::uint64_t bytes, Clock::time_point now) {
  const double latency = Seconds(to_first_byte).count();
  const double rate = static_cast<double>(bytes) / std::max(Seconds(of_body).count(), 1e-6);
  const MutexLock lock(mutex_);
  Advance(now);
  Blend(mean_latency_, latency);
  Blend(mean_rate_, rate);
  if (least_latency_.now == 0 || latency < least_latency_.now) least_latency_.now = latency;
  request_rate_.now = std::max(request_rate_.now, rate);
}

void Link::DemandBegan() {
  const MutexLock lock(mutex_);
  ++demands_;
}

void Link::DemandEnded(Clock::time_point now) {
  const MutexLock lock(mutex_);
  --demands_;
  last_demand_ = now;
}

bool Link::DemandActive(Clock::time_point now) const {
  return demands_ > 0 || now - last_demand_ < kDemandTime;
}

double Link::Rate() const {
  const std::uint64_t most = *std::max_element(arrived_.begin(), arrived_.end());
  return static_cast<double>(most) / Seconds(kTick).count();
}

double Link::RequestBytes(Priority priority, Clock::time_point now) const {
  const double most =
      priority != Priority::kNear && DemandActive(now) ? kMostRequestBesideDemand : kMostRequest;
  const double bytes = mean_rate_ * std::max(kLongestWait, kLatencies * mean_latency_);
  return std::clamp(bytes, static_cast<double>(chunk_bytes_),
                    std::max(most, static_cast<double>(chunk_bytes_)));
}

std::uint64_t Link::RequestChunks(Priority priority, Clock::time_point now) const {
  const MutexLock lock(mutex_);
  return static_cast<std::uint64_t>(RequestBytes(priority, now)) / chunk_bytes_;
}

std::uint64_t Link::WindowBytes(Priority priority, Clock::time_point now) const {
  const MutexLock lock(mutex_);
  const bool yields = priority != Priority::kNear && DemandActive(now);
  const double least = priority == Priority::kNear ? kLeastNear
                       : yields                    ? kLeastBesideDemand
                                                   : kLeastPlan;
  double latency = least_latency_.now;
  if (latency == 0 || (least_latency_.before != 0 && least_latency_.before < latency)) {
    latency = least_latency_.before;
  }
  const double alone = std::max({request_rate_.now, request_rate_.before, 1.0});
  // What fills the link: its rate, for as long as a request takes that has it for itself.
  const double fill = Rate() * (latency + RequestBytes(priority, now) / alone);
  const double window = (yields ? kGainBesideDemand : kGain) * fill;
  return static_cast<std::uint64_t>(std::clamp(window, least, kMostWindow));
}

}  // namespace modelfs::index
