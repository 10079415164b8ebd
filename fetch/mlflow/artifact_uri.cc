#include "fetch/mlflow/artifact_uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "fetch/base/percent.h"
#include "fetch/base/text.h"

namespace modelfs::fetch {
namespace {

std::unexpected<Error> Bad(std::string_view uri, std::string_view why) {
  return Fail(Errc::kInvalid, fmt::format("artifact URI '{}': {}", Printable(uri), why));
}

/// What follows "scheme:", without leading slashes and without any at the end.
std::string_view AfterScheme(std::string_view uri) {
  uri.remove_prefix(std::min(uri.find(':') + 1, uri.size()));
  while (uri.starts_with('/')) uri.remove_prefix(1);
  while (uri.ends_with('/')) uri.remove_suffix(1);
  return uri;
}

bool IsDigits(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string OneSlash(std::string_view path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || (!out.empty() && out.back() != '/')) out.push_back(c);
  }
  while (out.ends_with('/')) out.pop_back();
  return out;
}

}  // namespace

Result<ModelsUri> ModelsUri::Parse(std::string_view uri) {
  const std::string_view rest = AfterScheme(uri);
  const std::size_t slash = rest.find('/');
  ModelsUri out;
  if (slash == std::string_view::npos) {
    const std::size_t at = rest.rfind('@');
    if (at == std::string_view::npos) {
      out = {.kind = Kind::kModelId, .name = std::string(rest), .suffix = {}, .path = {}};
    } else {
      out = {.kind = Kind::kAlias,
             .name = std::string(rest.substr(0, at)),
             .suffix = std::string(rest.substr(at + 1)),
             .path = {}};
    }
  } else if (rest.starts_with("m-") && rest.find('@') == std::string_view::npos && slash == 34) {
    // A model id has 32 digits behind "m-"; what follows is a path in it.
    out = {.kind = Kind::kModelId,
           .name = std::string(rest.substr(0, slash)),
           .suffix = {},
           .path = std::string(rest.substr(slash + 1))};
  } else {
    const std::string_view suffix = rest.substr(slash + 1);
    if (suffix.find('/') != std::string_view::npos) return Bad(uri, "too many parts");
    out = {.kind = IsDigits(suffix)            ? Kind::kVersion
                   : Lower(suffix) == "latest" ? Kind::kLatest
                                               : Kind::kStage,
           .name = std::string(rest.substr(0, slash)),
           .suffix = std::string(suffix),
           .path = {}};
  }
  const bool needs_suffix = out.kind == Kind::kAlias || out.kind == Kind::kVersion;
  if (out.name.empty() || (needs_suffix && out.suffix.empty())) return Bad(uri, "names no model");
  return out;
}

Result<RunsUri> RunsUri::Parse(std::string_view uri) {
  const std::string_view rest = AfterScheme(uri);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  RunsUri out{.run_id = std::string(rest.substr(0, slash)),
              .path = OneSlash(rest.substr(std::min(slash + 1, rest.size())))};
  if (out.run_id.empty()) return Bad(uri, "names no run");
  return out;
}

Result<ProxiedUri> ProxiedUri::Parse(std::string_view uri) {
  std::string_view rest = uri.substr(std::min(uri.find(':') + 1, uri.size()));
  ProxiedUri out;
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    out.authority = Lower(rest.substr(0, slash));
    rest.remove_prefix(slash);
    const bool plain = std::ranges::none_of(out.authority, [](unsigned char c) {
      return c <= ' ' || c >= 0x7f || c == '@' || c == '?' || c == '#' || c == '\\' || c == '%';
    });
    if (!plain) return Bad(uri, "its host makes no sense");
  }
  out.path = OneSlash(rest);
  return out;
}

std::string UriScheme(std::string_view uri) {
  const std::size_t colon = uri.find(':');
  if (colon == std::string_view::npos || uri.find('/') < colon) return {};
  return Lower(uri.substr(0, colon));
}

std::string JoinPath(std::string_view base, std::string_view path) {
  while (base.ends_with('/')) base.remove_suffix(1);
  if (path.empty()) return std::string(base);
  if (base.empty()) return std::string(path);
  return fmt::format("{}/{}", base, path);
}

std::string UrlOrigin(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  const std::size_t begin = scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  std::string_view authority = url.substr(begin, end - begin);
  authority.remove_prefix(authority.rfind('@') + 1);
  return Lower(url.substr(0, begin)) + Lower(authority);
}

bool CanBeProxied(std::string_view path) {
  if (path.find_first_of("#\\") != std::string_view::npos) return false;
  return PercentDecode(path, Plus::kPlus) == path;
}

}  // namespace modelfs::fetch
