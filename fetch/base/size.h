#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

/// Parses "1048576", "64MiB", "200GiB", "1.5 GiB" (also KiB, TiB and the decimal kB, MB, GB, TB).
/// Errors: kInvalid, with the accepted forms in the text.
Result<std::uint64_t> ParseSize(std::string_view text);

/// "1.5 GiB", "823 B": three significant digits, for people.
std::string FormatSize(std::uint64_t size_bytes);

}  // namespace modelfs
