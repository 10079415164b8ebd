#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace modelfs {

using Sha256Digest = std::array<std::byte, 32>;

Sha256Digest Sha256(std::string_view bytes);

/// RFC 2104 over SHA-256. `key` may hold any bytes.
Sha256Digest HmacSha256(std::string_view key, std::string_view bytes);

/// Two lower-case hexadecimal digits per byte.
std::string Hex(std::span<const std::byte> bytes);

/// The digest's bytes as a string, to be the key of a further HMAC.
std::string_view AsKey(const Sha256Digest& digest);

}  // namespace modelfs
