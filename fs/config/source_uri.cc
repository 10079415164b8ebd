#include "fs/config/source_uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "fetch/http_dir/http_url.h"
#include "fs/config/endpoint.h"

namespace modelfs::fs {
namespace {

constexpr std::string_view kForms =
    "write [NAME=]s3://BUCKET[/PREFIX], [NAME=]mlflow:http(s)://HOST[:PORT], "
    "[NAME=]http(s)://HOST[:PORT]/PATH or "
    "[NAME=]dir:/ABSOLUTE/PATH";

bool HasControl(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::unexpected<Error> Bad(std::string_view text, std::string_view why) {
  return Fail(Errc::kInvalid, fmt::format("'{}': {}", text, why));
}

bool IsBucketName(std::string_view bucket) {
  const auto alnum = [](unsigned char c) { return std::isalnum(c) != 0; };
  return !bucket.empty() && bucket.size() <= 255 && alnum(bucket.front()) && alnum(bucket.back()) &&
         std::ranges::all_of(
             bucket, [&](unsigned char c) { return alnum(c) || c == '.' || c == '-' || c == '_'; });
}

/// Components "", "." and ".." name no object that a tree can show.
bool IsPlainPath(std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return true;
}

Result<SourceUri> ParseS3(std::string_view text, std::string_view rest) {
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view bucket = rest.substr(0, slash);
  const std::string_view prefix = rest.substr(std::min(slash + 1, rest.size()));
  if (bucket.empty()) return Bad(text, fmt::format("no bucket is named; {}", kForms));
  if (!IsBucketName(bucket)) {
    return Bad(text, fmt::format("'{}' cannot be the name of a bucket (letters, digits, '.', '-', "
                                 "'_'; the endpoint goes into --endpoint)",
                                 bucket));
  }
  if (!IsPlainPath(prefix)) return Bad(text, "the prefix has an empty, '.' or '..' component");
  return SourceUri{.scheme = SourceUri::Scheme::kS3,
                   .name = std::string(bucket),
                   .uri = fmt::format("s3://{}{}{}", bucket, prefix.empty() ? "" : "/", prefix)};
}

Result<SourceUri> ParseDir(std::string_view text, std::string_view path) {
  if (!path.starts_with('/')) {
    return Bad(text, fmt::format("the path after dir: must be absolute; {}", kForms));
  }
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  const std::size_t first = std::min(normal.find_first_not_of('/'), normal.size());
  normal.erase(0, first == 0 ? 0 : first - 1);
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return SourceUri{.scheme = SourceUri::Scheme::kDir,
                   .name = std::filesystem::path(normal).filename().string(),
                   .uri = fmt::format("dir:{}", normal)};
}

Result<SourceUri> ParseHttp(std::string_view text) {
  // No echo of the text: it may hold a password.
  const auto url = fetch::HttpUrl::Parse(text);
  if (!url) return std::unexpected(url.error());
  std::string uri = url->ToString();
  uri.pop_back();
  const std::string_view authority = url->authority;
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  return SourceUri{.scheme = SourceUri::Scheme::kHttp,
                   .name = std::string(authority.substr(0, authority.find(':', bracket))),
                   .uri = std::move(uri)};
}

Result<SourceUri> ParseMlflow(std::string_view text, std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!url.starts_with(scheme)) continue;
    std::string_view rest = url.substr(scheme.size());
    while (rest.ends_with('/')) rest.remove_suffix(1);
    if (rest.find_first_of("?#\\ ") != std::string_view::npos) break;
    const std::string_view authority = rest.substr(0, std::min(rest.find('/'), rest.size()));
    if (authority.find('@') != std::string_view::npos) {
      return Bad("(not shown)",
                 "a login does not belong into a URI: set MLFLOW_TRACKING_USERNAME and "
                 "MLFLOW_TRACKING_PASSWORD");
    }
    if (auto ok = ParseEndpoint(fmt::format("{}{}", scheme, authority)); !ok) {
      return Bad(text, ok.error().what);
    }
    return SourceUri{.scheme = SourceUri::Scheme::kMlflow,
                     .name = {},
                     .uri = fmt::format("mlflow:{}{}", scheme, rest)};
  }
  return Bad(text, fmt::format("no address of an MLflow server; {}", kForms));
}

Result<SourceUri> ParseUri(std::string_view text, std::string_view uri) {
  if (HasControl(uri)) return Bad("(not shown)", "it holds a control character");
  if (uri.starts_with("s3://")) return ParseS3(text, uri.substr(5));
  if (uri.starts_with("dir:")) return ParseDir(text, uri.substr(4));
  if (uri.starts_with("http://") || uri.starts_with("https://")) return ParseHttp(uri);
  if (uri.starts_with("mlflow:")) return ParseMlflow(text, uri.substr(7));
  const std::size_t colon = uri.find(':');
  if (colon == std::string_view::npos) return Bad(text, fmt::format("no scheme; {}", kForms));
  return Bad(text, fmt::format("unknown scheme '{}'; {}", uri.substr(0, colon), kForms));
}

}  // namespace

Result<void> CheckSourceName(std::string_view name) {
  const auto bad = [](std::string what) { return Fail(Errc::kInvalid, std::move(what)); };
  if (name.empty()) return bad("the name of a source is empty");
  if (HasControl(name)) return bad("the name of a source holds a control character");
  if (name.size() > 255) {
    return bad(fmt::format("the name '{}...' is longer than 255 bytes", name.substr(0, 32)));
  }
  if (name.find('/') != std::string_view::npos) {
    return bad(
        fmt::format("the name '{}' holds a '/'; a source is one directory at the root", name));
  }
  if (name == "." || name == ".." || name == ".modelfs") {
    return bad(fmt::format("the name '{}' is reserved", name));
  }
  return {};
}

Result<SourceUri> ParseSourceUri(std::string_view text) {
  const std::size_t equals = text.find('=');
  const bool named = equals < text.find(':');
  auto uri = ParseUri(text, named ? text.substr(equals + 1) : text);
  if (!uri) return uri;
  if (named) uri->name = text.substr(0, equals);
  if (!named && uri->scheme == SourceUri::Scheme::kMlflow) return uri;
  if (!named && uri->name.empty()) {
    return Bad(text, "it needs a name of its own; write NAME=URI");
  }
  if (auto ok = CheckSourceName(uri->name); !ok) return Bad(text, ok.error().what);
  return uri;
}

}  // namespace modelfs::fs
