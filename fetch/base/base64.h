#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace modelfs {

/// RFC 4648 with padding, on one line.
std::string Base64Encode(std::string_view bytes);

/// Nullopt for anything but whole groups of the standard alphabet, padded.
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace modelfs
