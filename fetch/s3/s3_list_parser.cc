#include "fetch/s3/s3_list_parser.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "fetch/base/percent.h"
#include "fetch/base/time_text.h"
#include "fetch/s3/xml.h"

namespace modelfs::fetch {
namespace {

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// AWS and MinIO write a space as '+' and a plus as %2B; others write %20 and leave '+' alone.
Plus GuessPlus(const pugi::xml_node& root) {
  for (const pugi::xml_node& child : root.children()) {
    const std::string name = Text(Child(child, LocalName(child) == "Contents" ? "Key" : "Prefix"));
    if (name.find("%20") != std::string::npos) return Plus::kPlus;
  }
  return Plus::kSpace;
}

}  // namespace

Result<S3ListPage> ParseS3ListPage(std::string_view xml) {
  const auto bad = [](std::string_view why) {
    return Fail(Errc::kCorrupt, fmt::format("answer to ListObjectsV2: {}", why));
  };
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size(), kXmlFlags);
  if (!parsed)
    return bad(fmt::format("not XML: {} at byte {}", parsed.description(), parsed.offset));
  const pugi::xml_node root = document.document_element();
  if (LocalName(root) != "ListBucketResult") {
    return bad(fmt::format("a document of type '{}'", Printable(LocalName(root), 64)));
  }
  const bool encoded = ChildText(root, "EncodingType") == "url";
  const Plus plus = encoded ? GuessPlus(root) : Plus::kPlus;
  const auto decode = [&](const std::string& text) {
    return encoded ? PercentDecode(text, plus) : text;
  };

  S3ListPage page;
  for (const pugi::xml_node& child : root.children()) {
    if (LocalName(child) == "CommonPrefixes") {
      for (const pugi::xml_node& prefix : child.children()) {
        if (LocalName(prefix) == "Prefix") page.prefixes.push_back(decode(Text(prefix)));
      }
    } else if (LocalName(child) == "Contents") {
      S3ListPage::Object object;
      object.key = decode(ChildText(child, "Key"));
      if (object.key.empty()) return bad("an object without a key");
      const std::optional<std::uint64_t> size = ParseNumber(ChildText(child, "Size"));
      if (!size) return bad(fmt::format("no size of '{}'", Printable(object.key)));
      object.size_bytes = *size;
      object.etag = ChildText(child, "ETag");
      if (const auto time = ParseIso8601(ChildText(child, "LastModified"))) object.modified = *time;
      page.objects.push_back(std::move(object));
    }
  }
  page.truncated = ChildText(root, "IsTruncated") == "true";
  page.next_token = ChildText(root, "NextContinuationToken");
  if (page.truncated && page.next_token.empty())
    return bad("more is to come, but no token to ask for it");
  return page;
}

}  // namespace modelfs::fetch
