#include "fetch/base/percent.h"

#include <fmt/format.h>

namespace modelfs {
namespace {

constexpr std::string_view kUpper = "0123456789ABCDEF";

constexpr bool Unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Length of the well-formed UTF-8 sequence of two or more bytes at `i`, or 0.
std::size_t Utf8Length(std::string_view s, std::size_t i) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(s[at]); };
  const unsigned lead = byte(i);
  const std::size_t n = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || i + n > s.size()) return 0;
  for (std::size_t k = 1; k < n; ++k) {
    if ((byte(i + k) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(i + 1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) {
    return 0;
  }
  if (lead == 0xC2 && second < 0xA0) return 0;  // C1 controls: terminals obey some of them.
  return n;
}

}  // namespace

std::string PercentEncode(std::string_view raw, Slash slash) {
  std::string out;
  out.reserve(raw.size() + raw.size() / 4);
  for (const char c : raw) {
    if (Unreserved(c) || (c == '/' && slash == Slash::kKeep)) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kUpper[byte >> 4]);
      out.push_back(kUpper[byte & 15]);
    }
  }
  return out;
}

std::string PercentDecode(std::string_view encoded, Plus plus) {
  std::string out;
  out.reserve(encoded.size());
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    const char c = encoded[i];
    if (c == '%' && i + 2 < encoded.size()) {
      const int high = HexValue(encoded[i + 1]);
      const int low = HexValue(encoded[i + 2]);
      if (high >= 0 && low >= 0) {
        out.push_back(static_cast<char>(high * 16 + low));
        i += 2;
        continue;
      }
    }
    out.push_back(c == '+' && plus == Plus::kSpace ? ' ' : c);
  }
  return out;
}

std::string Printable(std::string_view raw, std::size_t limit) {
  std::string out;
  for (std::size_t i = 0; i < raw.size();) {
    if (out.size() >= limit) return out + "...";
    const auto byte = static_cast<unsigned char>(raw[i]);
    if (byte >= 0x20 && byte < 0x7F && byte != '\\') {
      out.push_back(raw[i++]);
    } else if (const std::size_t n = byte >= 0x80 ? Utf8Length(raw, i) : 0; n > 0) {
      out.append(raw.substr(i, n));
      i += n;
    } else {
      out += fmt::format("\\x{:02x}", byte);
      ++i;
    }
  }
  return out;
}

}  // namespace modelfs
