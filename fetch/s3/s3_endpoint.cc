#include "fetch/s3/s3_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "fetch/base/percent.h"

namespace modelfs::fetch {
namespace {

// A dot in the name would not match the wildcard of AWS's certificate.
bool FitsIntoHostName(std::string_view bucket) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return bucket.size() >= 3 && bucket.size() <= 63 && alnum(bucket.front()) &&
         alnum(bucket.back()) &&
         std::ranges::all_of(bucket, [&](char c) { return alnum(c) || c == '-'; });
}

}  // namespace

Result<S3Endpoint> S3Endpoint::Make(std::string_view url, std::string bucket,
                                    S3Addressing addressing) {
  S3Endpoint out;
  const auto bad = [url](std::string_view why) {
    return Fail(Errc::kInvalid, fmt::format("endpoint '{}': {}", Printable(url), why));
  };
  if (!url.empty()) {
    const std::size_t colon = url.find("://");
    if (colon == std::string_view::npos)
      return bad("expected http://host[:port] or https://host[:port]");
    out.scheme_ = url.substr(0, colon);
    std::ranges::transform(out.scheme_, out.scheme_.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (out.scheme_ != "http" && out.scheme_ != "https") return bad("expected http:// or https://");
    std::string_view rest = url.substr(colon + 3);
    if (rest.find_first_of("?#") != std::string_view::npos)
      return bad("a query or fragment makes no sense here");
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    std::string authority(rest.substr(0, slash));
    std::string_view path = rest.substr(slash);
    while (path.ends_with('/')) path.remove_suffix(1);
    // The text of a password must not come back in a message.
    if (authority.find('@') != std::string::npos) {
      return Fail(Errc::kInvalid,
                  "endpoint: user information does not belong into the URL; set the "
                  "access key id and the secret key instead");
    }
    const bool good = std::ranges::all_of(authority, [](unsigned char c) {
      return c < 0x80 &&
             (std::isalnum(c) != 0 ||
              std::string_view("-._:[]").find(static_cast<char>(c)) != std::string_view::npos);
    });
    if (authority.empty() || authority.front() == ':' || !good) return bad("no host name");
    std::ranges::transform(authority, authority.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const std::string_view default_port = out.scheme_ == "http" ? ":80" : ":443";
    if (authority.ends_with(default_port)) authority.erase(authority.size() - default_port.size());
    out.authority_ = std::move(authority);
    out.base_path_ = path;
  }
  out.virtual_hosted_ =
      addressing == S3Addressing::kVirtual ||
      (addressing == S3Addressing::kAuto && url.empty() && FitsIntoHostName(bucket));
  out.bucket_ = std::move(bucket);
  return out;
}

S3Endpoint::Address S3Endpoint::In(std::string_view region) const {
  std::string host = authority_;
  if (IsAws()) {
    host = fmt::format("s3.{}.amazonaws.com{}", region, region.starts_with("cn-") ? ".cn" : "");
  }
  std::string path = base_path_;
  if (virtual_hosted_) {
    host = fmt::format("{}.{}", bucket_, host);
  } else {
    path.append("/").append(PercentEncode(bucket_, Slash::kEncode));
  }
  return {
      .scheme_and_authority = fmt::format("{}://{}", scheme_, host), .host = host, .path = path};
}

std::string S3Endpoint::Canonical() const {
  return IsAws() ? "https://s3.amazonaws.com"
                 : fmt::format("{}://{}{}", scheme_, authority_, base_path_);
}

}  // namespace modelfs::fetch
