#include "fetch/base/size.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <limits>

namespace modelfs {
namespace {

struct Unit {
  std::string_view name;  // Lower case.
  std::uint64_t bytes;
};

constexpr std::array<Unit, 10> kUnits{{{"", 1},
                                       {"b", 1},
                                       {"kib", kKiB},
                                       {"mib", kMiB},
                                       {"gib", kGiB},
                                       {"tib", 1024 * kGiB},
                                       {"kb", 1'000},
                                       {"mb", 1'000'000},
                                       {"gb", 1'000'000'000},
                                       {"tb", 1'000'000'000'000}}};

// Two operands of at most 64 bits, so that nothing below can overflow.
__extension__ using Wide = unsigned __int128;

std::unexpected<Error> Bad(std::string_view text) {
  return Fail(
      Errc::kInvalid,
      fmt::format("size '{}': expected bytes or a number with KiB, MiB, GiB, TiB, kB, MB, GB "
                  "or TB, for example 1048576, 64MiB or 1.5GiB",
                  text));
}

}  // namespace

Result<std::uint64_t> ParseSize(std::string_view text) {
  std::size_t i = 0;
  const auto digit = [&] {
    return i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])) != 0;
  };
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  if (!digit()) return Bad(text);
  Wide whole = 0;
  for (; digit(); ++i) {
    whole = whole * 10 + static_cast<unsigned>(text[i] - '0');
    if (whole > kMax) return Bad(text);
  }
  std::uint64_t fraction = 0;
  std::uint64_t scale = 1;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (!digit()) return Bad(text);
    for (; digit(); ++i) {
      if (scale >= 1'000'000'000) continue;  // Finer than a byte of a TiB matters to nobody.
      fraction = fraction * 10 + static_cast<unsigned>(text[i] - '0');
      scale *= 10;
    }
  }
  while (i < text.size() && text[i] == ' ') ++i;
  std::string name(text.substr(i));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    if (scale != 1 && unit.bytes == 1) return Bad(text);
    const Wide bytes = whole * unit.bytes + static_cast<Wide>(fraction) * unit.bytes / scale;
    if (bytes > kMax) return Bad(text);
    return static_cast<std::uint64_t>(bytes);
  }
  return Bad(text);
}

std::string FormatSize(std::uint64_t size_bytes) {
  if (size_bytes < kKiB) return fmt::format("{} B", size_bytes);
  constexpr std::array<std::string_view, 6> kNames{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(size_bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.5 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  std::string number = fmt::format("{:.{}f}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
  if (number.find('.') != std::string::npos) {
    while (number.back() == '0') number.pop_back();
    if (number.back() == '.') number.pop_back();
  }
  return fmt::format("{} {}", number, kNames[unit]);
}

}  // namespace modelfs
