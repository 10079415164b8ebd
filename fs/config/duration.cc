#include "fs/config/duration.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

namespace modelfs::fs {
namespace {

constexpr std::int64_t kMaxMs = std::int64_t{30} * 24 * 3600 * 1000;

std::int64_t UnitMs(std::string_view unit) {
  if (unit == "ms") return 1;
  if (unit == "s") return 1000;
  if (unit == "m") return 60'000;
  if (unit == "h") return 3'600'000;
  if (unit == "d") return 86'400'000;
  return 0;
}

}  // namespace

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  const auto bad = [&] {
    return Fail(Errc::kInvalid,
                fmt::format("'{}' is no duration; write for example 500ms, 60s, 5m or 2h", text));
  };
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return bad();
  std::string_view unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit.empty() && number == 0) return std::chrono::milliseconds(0);
  const std::int64_t unit_ms = UnitMs(unit);
  if (unit_ms == 0) return bad();
  if (number > kMaxMs / unit_ms) {
    return Fail(Errc::kInvalid, fmt::format("'{}' is longer than 30 days", text));
  }
  return std::chrono::milliseconds(number * unit_ms);
}

std::string FormatDuration(std::chrono::seconds duration) {
  const auto s = duration.count();
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}m {:02}s", s / 60, s % 60);
  if (s < 172'800) return fmt::format("{}h {:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d {:02}h", s / 86400, s / 3600 % 24);
}

}  // namespace modelfs::fs
