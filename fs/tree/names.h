#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace modelfs::fs {

/// Longest file name that the kernel takes, in bytes.
inline constexpr std::size_t kMaxNameBytes = 255;

/// One raw component of an origin's key as a safe file name.
///
/// Bytes that no file name may hold or that would confuse a terminal ('/', NUL, control
/// characters, DEL) become %XX, and so do the dots of "." and "..". A '%' is escaped only before
/// two hex digits, so that the mapping can be undone. Other bytes, UTF-8 or not, stay.
/// Nullopt when there is no safe name: empty, or longer than kMaxNameBytes once escaped.
std::optional<std::string> EscapeName(std::string_view raw);

/// The raw component that EscapeName made `shown` from.
std::string UnescapeName(std::string_view shown);

}  // namespace modelfs::fs
