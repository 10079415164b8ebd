#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/byte_range.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// The first and last byte and the length of the whole that a Content-Range header names.
struct ContentRange {
  ByteRange range;
  std::uint64_t total_bytes = 0;
};

/// Parses "bytes 0-99/1234". Nullopt for anything else, a total of '*' included.
std::optional<ContentRange> ParseContentRange(std::string_view text);

/// What a 206 says that it brings. Error: why that makes no sense, be it that its length is not
/// that of its range.
std::expected<ContentRange, std::string> StatedRange(const HttpResponse& head);

/// Why `got` does not answer a request for `wanted`, of which a server may send less, from its
/// start; nullopt: it does.
std::optional<std::string> NotAskedFor(const ContentRange& got, ByteRange wanted);

}  // namespace modelfs::fetch
