#include "fs/config/endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace modelfs::fs {
namespace {

bool IsPort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && rest == text.data() + text.size() && port != 0;
}

/// "host", "host:9000", "[::1]:9000".
bool IsAuthority(std::string_view text) {
  const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return false;
  const std::size_t colon = text.find(':', bracket);
  const std::string_view host = text.substr(0, std::min(colon, text.size()));
  const bool plain = std::ranges::none_of(text, [](unsigned char c) {
    return c <= ' ' || c == 0x7f || c == '/' || c == '?' || c == '#' || c == '@' || c == '\\';
  });
  return plain && !host.empty() && host != "[]" &&
         (colon == std::string_view::npos || IsPort(text.substr(colon + 1)));
}

}  // namespace

Result<std::string> ParseEndpoint(std::string_view text) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    std::string_view authority = text.substr(scheme.size());
    while (authority.ends_with('/')) authority.remove_suffix(1);
    if (IsAuthority(authority)) return fmt::format("{}{}", scheme, authority);
  }
  return Fail(Errc::kInvalid,
              fmt::format("'{}' is no endpoint; write http(s)://HOST[:PORT]", text));
}

}  // namespace modelfs::fs
