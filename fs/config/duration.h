#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// Parses "500ms", "60s", "5m", "2h", "1d"; "0" needs no unit. At most 30 days.
/// Errors: kInvalid, with the accepted forms in the text.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

/// "1h 05m", "3m 20s", "12 s": for people, to two units.
std::string FormatDuration(std::chrono::seconds duration);

}  // namespace modelfs::fs
