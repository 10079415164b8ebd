#include "fs/tree/names.h"

#include <fmt/format.h>

#include <cctype>

namespace modelfs::fs {
namespace {

bool IsHexPair(std::string_view s) {
  return s.size() >= 2 && std::isxdigit(static_cast<unsigned char>(s[0])) != 0 &&
         std::isxdigit(static_cast<unsigned char>(s[1])) != 0;
}

bool MustEscape(std::string_view raw, std::size_t i) {
  const auto c = static_cast<unsigned char>(raw[i]);
  return c < 0x20 || c == 0x7f || c == '/' || (c == '%' && IsHexPair(raw.substr(i + 1))) ||
         raw == "." || raw == "..";
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return std::tolower(static_cast<unsigned char>(c)) - 'a' + 10;
}

}  // namespace

std::optional<std::string> EscapeName(std::string_view raw) {
  std::string shown;
  shown.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (MustEscape(raw, i)) {
      shown += fmt::format("%{:02X}", static_cast<unsigned char>(raw[i]));
    } else {
      shown += raw[i];
    }
  }
  if (shown.empty() || shown.size() > kMaxNameBytes) return std::nullopt;
  return shown;
}

std::string UnescapeName(std::string_view shown) {
  std::string raw;
  raw.reserve(shown.size());
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (shown[i] == '%' && IsHexPair(shown.substr(i + 1))) {
      raw += static_cast<char>(HexValue(shown[i + 1]) * 16 + HexValue(shown[i + 2]));
      i += 2;
    } else {
      raw += shown[i];
    }
  }
  return raw;
}

}  // namespace modelfs::fs
