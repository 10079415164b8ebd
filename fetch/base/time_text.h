#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace modelfs {

/// "2013-05-24T00:00:00Z", with or without a fraction (kept to microseconds), and with an offset
/// such as "+02:00" in place of Z. Nullopt when malformed or outside the years
/// 1900..9999; what is later than 2261 is the end of that year, which the clock can still hold.
std::optional<std::chrono::system_clock::time_point> ParseIso8601(std::string_view text);

/// RFC 9110 IMF-fixdate: "Fri, 24 May 2013 00:00:00 GMT". Nullopt when malformed.
std::optional<std::chrono::system_clock::time_point> ParseHttpDate(std::string_view text);
std::string FormatHttpDate(std::chrono::system_clock::time_point time);

/// "20130524T000000Z", UTC: the date of AWS signatures.
std::string FormatAmzDate(std::chrono::system_clock::time_point time);

}  // namespace modelfs
