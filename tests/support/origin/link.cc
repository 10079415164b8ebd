#include "tests/support/origin/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace modelfs::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kAskGoneEvery = std::chrono::milliseconds(50);
constexpr double kSliceSeconds = 0.004;
constexpr double kMaxSlice = 256.0 * 1024;
// A stream that fell behind (its thread woke late) may catch up on so much time.
constexpr auto kMaxCredit = std::chrono::milliseconds(5);

struct Unit {
  std::string_view name;
  double factor;
};

/// A number and one of `units`.
template <std::size_t N>
Result<double> ParseWithUnit(std::string_view text, const std::array<Unit, N>& units,
                             std::string_view examples) {
  const auto bad = [&] {
    return Fail(Errc::kInvalid, fmt::format("'{}' is not like {}", text, examples));
  };
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || number < 0 || !std::isfinite(number)) return bad();
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit.ends_with("/s")) unit.remove_suffix(2);
  for (const auto& [name, factor] : units) {
    if (unit == name) return number * factor;
  }
  if (unit.empty() && number == 0) return 0.0;
  return bad();
}

/// Takes `bytes` at `rate` from `pace`; when they may go.
Clock::time_point Take(Pace& pace, double bytes, double rate, Clock::time_point now) {
  const Clock::time_point start = std::max(pace.free_at, now - kMaxCredit);
  pace.free_at = start + std::chrono::duration_cast<Clock::duration>(
                             std::chrono::duration<double>(bytes / rate));
  return pace.free_at;
}

}  // namespace

Result<double> ParseRate(std::string_view text) {
  static constexpr auto kUnits = std::to_array<Unit>({{"", 1},
                                                      {"B", 1},
                                                      {"kB", 1e3},
                                                      {"KB", 1e3},
                                                      {"MB", 1e6},
                                                      {"GB", 1e9},
                                                      {"KiB", 1024},
                                                      {"MiB", 1024 * 1024},
                                                      {"GiB", 1073741824},
                                                      {"bit", 0.125},
                                                      {"kbit", 125},
                                                      {"Mbit", 125e3},
                                                      {"Gbit", 125e6}});
  return ParseWithUnit(text, kUnits, "85MB/s, 100MiB/s, 1Gbit/s, 0");
}

Result<std::chrono::microseconds> ParseDuration(std::string_view text) {
  static constexpr auto kUnits = std::to_array<Unit>({{"us", 1}, {"ms", 1e3}, {"s", 1e6}});
  const auto micros = ParseWithUnit(text, kUnits, "20ms, 1.5s, 300us, 0");
  if (!micros) return std::unexpected(micros.error());
  return std::chrono::microseconds(std::llround(*micros));
}

void Link::Set(const LinkOptions& options) {
  const MutexLock lock(mutex_);
  options_ = options;
  total_ = {};
  ++generation_;
  changed_.NotifyAll();
}

LinkOptions Link::options() const {
  const MutexLock lock(mutex_);
  return options_;
}

bool Link::WaitUntil(Clock::time_point time, const Gone& gone, std::uint64_t generation) {
  while (!closed_ && generation_ == generation) {
    const Clock::time_point now = Clock::now();
    if (now >= time) return true;
    changed_.WaitUntil(mutex_, std::min(time, now + kAskGoneEvery));
    if (Clock::now() >= now + kAskGoneEvery && gone()) return false;
  }
  return !closed_;
}

bool Link::Delay(std::chrono::microseconds time, const Gone& gone) {
  const Clock::time_point until = Clock::now() + time;
  const MutexLock lock(mutex_);
  while (Clock::now() < until) {
    if (!WaitUntil(until, gone, generation_)) return false;
  }
  return !closed_;
}

std::size_t Link::Acquire(Pace& connection, std::size_t want, double own_rate, const Gone& gone) {
  const MutexLock lock(mutex_);
  const std::uint64_t generation = generation_;
  double slowest = own_rate;
  for (const double rate : {options_.connection_rate, options_.total_rate}) {
    if (rate > 0) slowest = slowest > 0 ? std::min(slowest, rate) : rate;
  }
  if (closed_) return 0;
  if (slowest <= 0) return want;
  const double slice = std::clamp(slowest * kSliceSeconds, 1.0, kMaxSlice);
  const auto bytes = std::min(want, static_cast<std::size_t>(slice));
  const auto count = static_cast<double>(bytes);
  const Clock::time_point now = Clock::now();
  double own = own_rate;
  if (options_.connection_rate > 0) {
    own = own > 0 ? std::min(own, options_.connection_rate) : options_.connection_rate;
  }
  Clock::time_point go = now;
  if (own > 0) go = Take(connection, count, own, now);
  if (options_.total_rate > 0) go = std::max(go, Take(total_, count, options_.total_rate, now));
  return WaitUntil(go, gone, generation) ? bytes : 0;
}

bool Link::Stall(const Gone& gone) {
  const MutexLock lock(mutex_);
  const std::uint64_t before = releases_;
  ++stalled_;
  stall_changed_.NotifyAll();
  bool left = false;
  while (!closed_ && releases_ == before && !left) {
    changed_.WaitUntil(mutex_, Clock::now() + kAskGoneEvery);
    left = releases_ == before && gone();
  }
  --stalled_;
  stall_changed_.NotifyAll();
  return !closed_ && !left;
}

void Link::Release() {
  const MutexLock lock(mutex_);
  ++releases_;
  changed_.NotifyAll();
}

std::size_t Link::stalled() const {
  const MutexLock lock(mutex_);
  return stalled_;
}

bool Link::WaitForStalled(std::size_t count, std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  const MutexLock lock(mutex_);
  while (stalled_ < count) {
    if (!stall_changed_.WaitUntil(mutex_, deadline) && Clock::now() >= deadline) {
      return stalled_ >= count;
    }
  }
  return true;
}

void Link::Close() {
  const MutexLock lock(mutex_);
  closed_ = true;
  changed_.NotifyAll();
}

}  // namespace modelfs::test
