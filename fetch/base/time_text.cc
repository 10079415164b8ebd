#include "fetch/base/time_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace modelfs {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;
using Time = std::chrono::system_clock::time_point;

constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

// Takes text apart from the left; after the first mismatch everything fails.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  int Digits(std::size_t count) {
    if (rest_.size() < count) return Broken();
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (!IsDigit(rest_[i])) return Broken();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }
  void Expect(std::string_view literal) {
    if (!Take(literal)) Broken();
  }
  bool Take(std::string_view literal) {
    if (!rest_.starts_with(literal)) return false;
    rest_.remove_prefix(literal.size());
    return true;
  }
  int OneOf(std::span<const std::string_view> words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (Take(words[i])) return static_cast<int>(i);
    }
    return Broken();
  }
  microseconds Fraction() {
    int value = 0;
    int place = 100'000;
    std::size_t count = 0;
    for (; count < rest_.size() && IsDigit(rest_[count]); ++count) {
      value += (rest_[count] - '0') * place;
      place /= 10;
    }
    if (count == 0) Broken();
    rest_.remove_prefix(std::min(count, rest_.size()));
    return microseconds(value);
  }
  bool Finished() const { return ok_ && rest_.empty(); }

 private:
  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
  int Broken() {
    ok_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

// The last year of a clock that counts nanoseconds in 64 bits, as far as it is whole.
constexpr int kLastYear = 2261;

std::optional<Time> Assemble(int year, int month, int day, int hour, int minute, int second,
                             microseconds rest) {
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || year < 1900 || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  if (year > kLastYear) return Time(sys_days(std::chrono::year(kLastYear) / 12 / 31));
  return sys_days(date) + hours(hour) + minutes(minute) + seconds(second) + rest;
}

struct Civil {
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<seconds> clock;
  unsigned weekday;

  explicit Civil(Time time)
      : date(floor<days>(time)),
        clock(floor<seconds>(time) - floor<days>(time)),
        weekday(std::chrono::weekday(floor<days>(time)).c_encoding()) {}
  int year() const { return static_cast<int>(date.year()); }
  unsigned month() const { return static_cast<unsigned>(date.month()); }
  unsigned day() const { return static_cast<unsigned>(date.day()); }
};

}  // namespace

std::optional<Time> ParseIso8601(std::string_view text) {
  Scanner scan(text);
  const int year = scan.Digits(4);
  scan.Expect("-");
  const int month = scan.Digits(2);
  scan.Expect("-");
  const int day = scan.Digits(2);
  scan.Expect("T");
  const int hour = scan.Digits(2);
  scan.Expect(":");
  const int minute = scan.Digits(2);
  scan.Expect(":");
  const int second = scan.Digits(2);
  microseconds rest{0};
  if (scan.Take(".")) rest = scan.Fraction();
  if (!scan.Take("Z")) {
    const int sign = scan.Take("+") ? -1 : 1;
    if (sign == 1) scan.Expect("-");
    const int offset_hours = scan.Digits(2);
    scan.Take(":");
    const int offset_minutes = scan.Digits(2);
    rest += sign * (hours(offset_hours) + minutes(offset_minutes));
  }
  if (!scan.Finished()) return std::nullopt;
  return Assemble(year, month, day, hour, minute, second, rest);
}

std::optional<Time> ParseHttpDate(std::string_view text) {
  Scanner scan(text);
  scan.OneOf(kDays);
  scan.Expect(", ");
  const int day = scan.Digits(2);
  scan.Expect(" ");
  const int month = scan.OneOf(kMonths) + 1;
  scan.Expect(" ");
  const int year = scan.Digits(4);
  scan.Expect(" ");
  const int hour = scan.Digits(2);
  scan.Expect(":");
  const int minute = scan.Digits(2);
  scan.Expect(":");
  const int second = scan.Digits(2);
  scan.Expect(" GMT");
  if (!scan.Finished()) return std::nullopt;
  return Assemble(year, month, day, hour, minute, second, microseconds(0));
}

std::string FormatHttpDate(Time time) {
  const Civil c(time);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[c.weekday], c.day(),
                     kMonths[c.month() - 1], c.year(), c.clock.hours().count(),
                     c.clock.minutes().count(), c.clock.seconds().count());
}

std::string FormatAmzDate(Time time) {
  const Civil c(time);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", c.year(), c.month(), c.day(),
                     c.clock.hours().count(), c.clock.minutes().count(), c.clock.seconds().count());
}

}  // namespace modelfs
