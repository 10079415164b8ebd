#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace modelfs {

/// Whether '/' separates (and stays) or is data (and is encoded).
enum class Slash : std::uint8_t { kKeep, kEncode };

/// RFC 3986: every byte but A-Z a-z 0-9 - _ . ~ becomes %XX with upper-case digits.
std::string PercentEncode(std::string_view raw, Slash slash);

/// What '+' stands for in encoded text.
enum class Plus : std::uint8_t {
  kPlus,   ///< Itself: a path, or a server that percent-encodes.
  kSpace,  ///< A space: form encoding (AWS's and MinIO's encoding-type=url).
};

/// Decodes %XX of either case. A '%' that no two hex digits follow stands for itself.
std::string PercentDecode(std::string_view encoded, Plus plus);

/// For messages and logs: control bytes, backslash and bytes that are no UTF-8 become \xNN, so that
/// a hostile name can neither forge a log line nor reach a terminal; cut to `limit` bytes or so.
std::string Printable(std::string_view raw, std::size_t limit = 512);

}  // namespace modelfs
