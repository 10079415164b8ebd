#include "index/pace.h"

#include <algorithm>
#include <vector>

namespace modelfs::index {
namespace {

constexpr int kMuchLonger = 3;

/// What 95 of 100 do not exceed.
Pace::Clock::duration Most(std::vector<Pace::Clock::duration> values) {
  if (values.empty()) return {};
  const auto at = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) * 95 / 100);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

void Pace::FirstByte(Clock::time_point sent, Clock::time_point now) {
  first_.Add({.sent = sent, .took = now - sent});
}

void Pace::LongestGap(Clock::duration gap) { gaps_.Add(gap); }

Pace::Clock::duration Pace::MostTake() const {
  std::vector<Clock::duration> took;
  took.reserve(first_.size());
  for (std::size_t i = 0; i < first_.size(); ++i) took.push_back(first_.values[i].took);
  return Most(std::move(took));
}

std::optional<Pace::Clock::duration> Pace::Patience(bool for_first_byte) const {
  if (first_.count < kEnough) return std::nullopt;
  const Clock::duration patience =
      std::max<Clock::duration>(kMuchLonger * MostTake(), kLeastPatience);
  if (for_first_byte) return patience;
  const auto end = gaps_.values.begin() + static_cast<std::ptrdiff_t>(gaps_.size());
  return std::max(patience, kMuchLonger * Most({gaps_.values.begin(), end}));
}

bool Pace::OthersAreQuickSince(Clock::time_point when) const {
  const auto patience = Patience(true);
  if (!patience) return false;
  int quick = 0;
  for (std::size_t i = 0; i < first_.size(); ++i) {
    const First& other = first_.values[i];
    if (other.sent >= when && other.took <= *patience / 2) ++quick;
  }
  return quick >= 2;
}

}  // namespace modelfs::index
