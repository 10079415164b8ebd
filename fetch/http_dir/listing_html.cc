#include "fetch/http_dir/listing_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "fetch/base/percent.h"
#include "fetch/base/text.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kHeadBytes = 16u << 10;  // A listing says early that it is one.

// Appends `code` as UTF-8.
void AppendUtf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (code >> 6)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (code >> 12)));
    out.push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | (code >> 18)));
    out.push_back(static_cast<char>(0x80 | ((code >> 12) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | ((code >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  }
}

// The entities that servers write; what is none stands for itself.
std::string DecodeEntities(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, char>, 6> kNamed{
      {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", ' '}}};
  std::string out;
  while (!text.empty()) {
    const std::size_t amp = std::min(text.find('&'), text.size());
    out.append(text.substr(0, amp));
    text.remove_prefix(amp);
    if (text.empty()) break;
    const std::size_t end = text.substr(0, 12).find(';');
    const std::string_view name = end == std::string_view::npos ? "" : text.substr(1, end - 1);
    if (name.starts_with('#')) {
      const bool hex = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
      const std::string_view digits = name.substr(hex ? 2 : 1);
      std::uint32_t code = 0;
      const auto [rest, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
      if (!digits.empty() && error == std::errc{} && rest == digits.data() + digits.size() &&
          code > 0 && code < 0x110000 && (code < 0xD800 || code > 0xDFFF)) {
        AppendUtf8(out, code);
        text.remove_prefix(end + 1);
        continue;
      }
    }
    const auto found = std::ranges::find(kNamed, name, &std::pair<std::string_view, char>::first);
    if (found != kNamed.end()) {
      out.push_back(found->second);
      text.remove_prefix(end + 1);
    } else {
      out.push_back('&');
      text.remove_prefix(1);
    }
  }
  return out;
}

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }

// The value of `href` inside a tag "<a ...>"; nullopt: it has none.
std::optional<std::string_view> Href(std::string_view tag) {
  std::size_t at = 0;
  while (at < tag.size()) {
    while (at < tag.size() && (IsBlank(tag[at]) || tag[at] == '/')) ++at;
    const std::size_t name_begin = at;
    while (at < tag.size() && !IsBlank(tag[at]) && tag[at] != '=') ++at;
    const std::string name = Lower(tag.substr(name_begin, at - name_begin));
    while (at < tag.size() && IsBlank(tag[at])) ++at;
    if (at >= tag.size() || tag[at] != '=') {
      if (at == name_begin) ++at;
      continue;
    }
    ++at;
    while (at < tag.size() && IsBlank(tag[at])) ++at;
    std::string_view value;
    if (at < tag.size() && (tag[at] == '"' || tag[at] == '\'')) {
      const std::size_t end = std::min(tag.find(tag[at], at + 1), tag.size());
      value = tag.substr(at + 1, end - at - 1);
      at = std::min(end + 1, tag.size());
    } else {
      const std::size_t begin = at;
      while (at < tag.size() && !IsBlank(tag[at])) ++at;
      value = tag.substr(begin, at - begin);
    }
    if (name == "href") return value;
  }
  return std::nullopt;
}

// Past the '>' that ends the tag; quotes may hold one.
std::size_t TagEnd(std::string_view html, std::size_t at) {
  char quote = 0;
  for (; at < html.size(); ++at) {
    const char c = html[at];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '>') {
      break;
    }
  }
  return at;
}

}  // namespace

std::optional<std::string> ChildOfLink(std::string_view href) {
  if (href.starts_with("./")) {
    href.remove_prefix(2);
  } else {
    // "C:x", "javascript:x": a scheme, where no slash comes first.
    const std::size_t colon = href.find(':');
    if (colon != std::string_view::npos && colon < href.find('/')) return std::nullopt;
  }
  if (href.find_first_of("?#") != std::string_view::npos) return std::nullopt;  // Links that sort.
  const bool directory = href.ends_with('/');
  if (directory) href.remove_suffix(1);
  if (href.empty() || href.contains('/')) return std::nullopt;
  std::string name = PercentDecode(href, Plus::kPlus);
  if (name == "." || name == ".." ||
      name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
    return std::nullopt;
  }
  if (directory) name.push_back('/');
  return name;
}

Result<HttpListing> ParseHtmlListing(std::string_view html) {
  const std::string head = Lower(html.substr(0, kHeadBytes));
  if (!head.contains("index of ") && !head.contains("directory listing for ")) {
    return Fail(Errc::kInvalid, "the page is no listing of a directory");
  }
  HttpListing out;
  std::size_t at = 0;
  while ((at = html.find('<', at)) != std::string_view::npos) {
    ++at;
    const bool link =
        at + 1 < html.size() && (html[at] == 'a' || html[at] == 'A') && IsBlank(html[at + 1]);
    if (!link) continue;
    const std::size_t end = TagEnd(html, at);
    const auto href = Href(html.substr(at + 1, end - at - 1));
    at = end;
    if (!href) continue;
    auto name = ChildOfLink(DecodeEntities(*href));
    if (!name) {
      ++out.skipped;
      continue;
    }
    HttpListed entry;
    if (name->ends_with('/')) {
      entry.kind = Entry::Kind::kDirectory;
      name->pop_back();
    }
    entry.name = *std::move(name);
    out.entries.push_back(std::move(entry));
    if (out.entries.size() > kMaxListed) {
      return Fail(Errc::kCorrupt, fmt::format("more than {} names in one listing", kMaxListed));
    }
  }
  return out;
}

}  // namespace modelfs::fetch
