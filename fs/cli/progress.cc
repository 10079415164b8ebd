#include "fs/cli/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "fetch/base/size.h"
#include "fs/config/duration.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::seconds kWindow{5};
constexpr int kMaxBar = 40;
constexpr int kMinBar = 10;

}  // namespace

void Progress::Update(Clock::time_point now, const Count& count) {
  count_ = count;
  samples_.push_back({now, count.bytes_done});
  while (samples_.size() > 2 && now - samples_[1].when >= kWindow) samples_.pop_front();
}

double Progress::BytesPerSecond() const {
  if (samples_.size() < 2) return 0;
  const std::chrono::duration<double> time = samples_.back().when - samples_.front().when;
  const std::uint64_t first = samples_.front().bytes_done;
  const std::uint64_t last = samples_.back().bytes_done;
  if (time.count() <= 0 || last <= first) return 0;
  return static_cast<double>(last - first) / time.count();
}

int Progress::Percent() const {
  const bool all_files = count_.files_total > 0 && count_.files_done >= count_.files_total;
  if (count_.bytes_total == 0) return all_files ? 100 : 0;
  if (count_.bytes_done >= count_.bytes_total) return 100;
  // Rounded down: 100 means all of it.
  return static_cast<int>(static_cast<double>(count_.bytes_done) * 100.0 /
                          static_cast<double>(count_.bytes_total));
}

std::string Progress::Text() const {
  if (empty()) return "looking for files";
  std::string text = fmt::format("{:3}%  {} of {}", Percent(), FormatSize(count_.bytes_done),
                                 FormatSize(count_.bytes_total));
  if (count_.files_total > 0) {
    text += fmt::format("  {} of {} files", count_.files_done, count_.files_total);
  }
  const double rate = BytesPerSecond();
  if (rate >= 1) {
    text += fmt::format("  {}/s", FormatSize(static_cast<std::uint64_t>(rate)));
    if (count_.bytes_done < count_.bytes_total) {
      const double left = static_cast<double>(count_.bytes_total - count_.bytes_done) / rate;
      const std::chrono::seconds seconds(static_cast<std::int64_t>(std::min(left + 0.5, 1e9)));
      text += fmt::format("  {} left", FormatDuration(seconds));
    }
  }
  return text;
}

std::string Progress::Bar(int columns) const {
  std::string text = Text();
  const int room = std::min(columns - static_cast<int>(text.size()) - 4, kMaxBar);
  if (room >= kMinBar) {
    const auto full = static_cast<std::size_t>(Percent() * room / 100);
    const auto rest = static_cast<std::size_t>(room) - full;
    text = fmt::format("[{}{}] {}", std::string(full, '#'), std::string(rest, ' '), text);
  }
  if (columns > 1) text.resize(std::min(text.size(), static_cast<std::size_t>(columns - 1)));
  return text;
}

}  // namespace modelfs::fs
