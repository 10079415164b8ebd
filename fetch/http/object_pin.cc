#include "fetch/http/object_pin.h"

#include <fmt/format.h>

#include <charconv>

#include "fetch/base/percent.h"
#include "fetch/base/time_text.h"

namespace modelfs::fetch {
namespace {

constexpr std::string_view kModified = "modified=";

std::string_view BareEtag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"')
    etag = etag.substr(1, etag.size() - 2);
  return etag;
}

}  // namespace

bool SameEtag(std::string_view a, std::string_view b) { return BareEtag(a) == BareEtag(b); }

bool PinnedByTime(const ObjectId& object) { return object.tag.starts_with(kModified); }

Error ObjectChanged(const ObjectId& object, std::string_view operation, std::string_view why) {
  return {Errc::kChanged, fmt::format("{}: {}; it was {} bytes with tag {}", operation, why,
                                      object.size_bytes, Printable(object.tag, 80))};
}

std::string TimeTag(std::chrono::system_clock::time_point modified) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(modified.time_since_epoch());
  return fmt::format("{}{}", kModified, seconds.count());
}

void AddPin(const ObjectId& object, std::vector<std::pair<std::string, std::string>>& headers) {
  if (PinnedByTime(object)) {
    const std::string_view text = std::string_view(object.tag).substr(kModified.size());
    std::uint64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error == std::errc{}) {
      // One more: some servers compare with the fraction that this date cannot hold. The answer's
      // Last-Modified is compared exactly.
      headers.emplace_back(
          "if-unmodified-since",
          FormatHttpDate(std::chrono::system_clock::time_point(std::chrono::seconds(seconds + 1))));
    }
  } else if (!object.tag.empty() && object.tag != kUnpinned) {
    const bool quoted = object.tag.front() == '"' || object.tag.starts_with("W/");
    headers.emplace_back("if-match", quoted ? object.tag : fmt::format("\"{}\"", object.tag));
  }
}

std::optional<Error> CheckPin(const ObjectId& object, const HttpResponse& head,
                              std::string_view operation) {
  const std::string_view etag = head.Header("etag");
  if (PinnedByTime(object)) {
    const auto modified = ParseHttpDate(head.Header("last-modified"));
    if (modified && object.tag != TimeTag(*modified)) {
      return ObjectChanged(object, operation, "the object was replaced at the origin");
    }
  } else if (object.tag != kUnpinned && !etag.empty() && !SameEtag(etag, object.tag)) {
    return ObjectChanged(object, operation,
                         fmt::format("the object was replaced at the origin: its ETag is now {}",
                                     Printable(etag, 80)));
  }
  return std::nullopt;
}

}  // namespace modelfs::fetch
