#include "fetch/s3/s3_uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "fetch/base/percent.h"

namespace modelfs::fetch {

Result<S3Uri> S3Uri::Parse(std::string_view text) {
  constexpr std::string_view kScheme = "s3://";
  const auto bad = [text](std::string_view why) {
    return Fail(Errc::kInvalid, fmt::format("'{}': {}", Printable(text), why));
  };
  if (!text.starts_with(kScheme)) return bad("expected s3://bucket[/prefix]");
  std::string_view rest = text.substr(kScheme.size());
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view bucket = rest.substr(0, slash);
  // Laxer than AWS (old buckets, other servers), but nothing that changes the meaning of a URL.
  const bool good = std::ranges::all_of(bucket, [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_');
  });
  if (bucket.empty()) return bad("the bucket's name is missing");
  if (!good || bucket.size() > 255 || bucket == "." || bucket == "..") {
    return bad(fmt::format("'{}' is no bucket name", Printable(bucket)));
  }
  std::string_view prefix = rest.substr(slash);
  if (!prefix.empty()) prefix.remove_prefix(1);
  S3Uri uri{.bucket = std::string(bucket), .prefix = std::string(prefix)};
  if (uri.prefix.starts_with('/')) return bad("a prefix cannot begin with '/'");
  if (uri.prefix.find("//") != std::string::npos) return bad("a prefix cannot hold '//'");
  if (!uri.prefix.empty() && !uri.prefix.ends_with('/')) uri.prefix.push_back('/');
  return uri;
}

}  // namespace modelfs::fetch
