#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace modelfs {

/// Lower-case hexadecimal digits, two per byte.
std::string ToHex(std::span<const std::byte> bytes);

/// The bytes; nullopt when `text` is anything but pairs of digits, of either case.
std::optional<std::vector<std::byte>> FromHex(std::string_view text);

}  // namespace modelfs
