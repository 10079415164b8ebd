#include "fetch/http_dir/http_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "fetch/base/percent.h"
#include "fetch/base/text.h"

namespace modelfs::fetch {

Result<HttpUrl> HttpUrl::Parse(std::string_view text) {
  const std::size_t colon = text.find("://");
  HttpUrl out;
  if (colon != std::string_view::npos) out.scheme = Lower(text.substr(0, colon));
  if (out.scheme != "http" && out.scheme != "https") {
    return Fail(Errc::kInvalid, "expected http://host[:port]/path or https://...");
  }
  std::string_view rest = text.substr(colon + 3);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  out.authority = Lower(rest.substr(0, slash));
  out.path = rest.substr(slash);
  if (out.authority.find('@') != std::string::npos) {
    return Fail(Errc::kInvalid,
                "a user's name does not belong into a URL; write user:password into a file and "
                "name it by auth_file");
  }
  const auto bad = [text](std::string_view why) {
    return Fail(Errc::kInvalid, fmt::format("'{}': {}", Printable(text), why));
  };
  const bool good_host = std::ranges::all_of(out.authority, [](unsigned char c) {
    return c < 0x80 &&
           (std::isalnum(c) != 0 || std::string_view("-._:[]").contains(static_cast<char>(c)));
  });
  if (out.authority.empty() || out.authority.front() == ':' || !good_host)
    return bad("no host name");
  if (text.find_first_of("?#") != std::string_view::npos) {
    return bad("a query or fragment makes no sense here");
  }
  const bool good_path = std::ranges::all_of(
      out.path, [](unsigned char c) { return c > ' ' && c < 0x7f && c != '\\' && c != '"'; });
  if (!good_path) return bad("blanks and the like must be percent-encoded in the path");
  if (!out.path.ends_with('/')) out.path.push_back('/');
  if (out.path.contains("/../") || out.path.contains("/./") || out.path.contains("//")) {
    return bad("an empty, '.' or '..' component in the path");
  }
  const std::string_view default_port = out.scheme == "http" ? ":80" : ":443";
  if (out.authority.ends_with(default_port)) {
    out.authority.erase(out.authority.size() - default_port.size());
  }
  return out;
}

}  // namespace modelfs::fetch
