#include "fetch/http/content_range.h"

#include <fmt/format.h>

#include <charconv>

#include "fetch/base/percent.h"

namespace modelfs::fetch {
namespace {

bool TakeNumber(std::string_view& text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  ContentRange out;
  if (!TakeNumber(text, first) || !text.starts_with('-')) return std::nullopt;
  text.remove_prefix(1);
  if (!TakeNumber(text, last) || !text.starts_with('/')) return std::nullopt;
  text.remove_prefix(1);
  if (!TakeNumber(text, out.total_bytes) || !text.empty()) return std::nullopt;
  if (last < first || last >= out.total_bytes) return std::nullopt;
  out.range = {first, last + 1};
  return out;
}

std::expected<ContentRange, std::string> StatedRange(const HttpResponse& head) {
  const std::string_view text = head.Header("content-range");
  const std::optional<ContentRange> got = ParseContentRange(text);
  if (!got) {
    return std::unexpected(fmt::format("206 with Content-Range '{}'", Printable(text, 80)));
  }
  const std::string_view length = head.Header("content-length");
  if (!length.empty() && length != std::to_string(got->range.size())) {
    return std::unexpected(fmt::format("206 with Content-Range '{}' and Content-Length {}",
                                       Printable(text, 80), Printable(length, 20)));
  }
  return *got;
}

std::optional<std::string> NotAskedFor(const ContentRange& got, ByteRange wanted) {
  if (got.range.begin == wanted.begin && got.range.end <= wanted.end) return std::nullopt;
  return fmt::format("asked for bytes {}-{}, got {}-{}", wanted.begin, wanted.end - 1,
                     got.range.begin, got.range.end - 1);
}

}  // namespace modelfs::fetch
