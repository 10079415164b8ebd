#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace modelfs {

/// What Hex (sha256.h) wrote. The bytes; nullopt when `text` is anything but pairs of digits, of
/// either case.
std::optional<std::vector<std::byte>> FromHex(std::string_view text);

}  // namespace modelfs
