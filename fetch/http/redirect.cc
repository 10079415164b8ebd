#include "fetch/http/redirect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "fetch/base/percent.h"
#include "fetch/base/text.h"
#include "fetch/http/curl_error.h"
#include "fetch/http/curl_handle.h"

namespace modelfs::fetch {
namespace {

struct Place {
  std::string scheme;
  std::string host;
  std::string port;
};

std::string Part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

Place PlaceOf(const std::string& text) {
  CurlUrl url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return {};
  return {.scheme = Lower(Part(url.get(), CURLUPART_SCHEME)),
          .host = Lower(Part(url.get(), CURLUPART_HOST)),
          .port = Part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT)};
}

// By its text: a name that resolves to such an address is not caught.
bool IsNear(std::string_view host) {
  constexpr std::array<std::string_view, 8> kBegins{"127.", "169.254.", "0.",         "[::1]",
                                                    "[::]", "[fe80:",   "[fd00:ec2:", "[::ffff:"};
  while (host.ends_with('.')) host.remove_suffix(1);
  return host == "localhost" || host.ends_with(".localhost") ||
         std::ranges::any_of(kBegins, [host](std::string_view b) { return host.starts_with(b); });
}

}  // namespace

Result<std::string> RedirectTrail::Follow(const HttpResponse& response) {
  const auto bad = [&](std::string_view why) {
    return Fail(Errc::kInvalid, fmt::format("{} answers with a redirect (HTTP {}) {}",
                                            DescribeRequest("GET", url()), response.status, why));
  };
  const std::string location(response.Header("location"));
  if (location.empty()) return bad("that leads nowhere");
  if (seen_.size() > kMost) return bad("too many times");
  CurlUrl next(curl_url());
  if (!next ||
      curl_url_set(next.get(), CURLUPART_URL, url().c_str(), CURLU_PATH_AS_IS) != CURLUE_OK ||
      curl_url_set(next.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) {
    return bad("to something that is no URL");
  }
  curl_url_set(next.get(), CURLUPART_FRAGMENT, nullptr, 0);
  if (!Part(next.get(), CURLUPART_USER).empty() || !Part(next.get(), CURLUPART_PASSWORD).empty()) {
    return bad("to a URL with a user's name in it");
  }
  std::string target = Part(next.get(), CURLUPART_URL);
  const Place from = PlaceOf(url());
  const Place to = PlaceOf(target);
  const std::string shown = DescribeRequest("to", target);
  if (to.scheme != "http" && to.scheme != "https") return bad("to another protocol");
  if (from.scheme == "https" && to.scheme == "http") {
    return bad(fmt::format("{}: from https to http it is not followed", shown));
  }
  if (IsNear(to.host) && to.host != PlaceOf(seen_.front()).host) {
    return bad(fmt::format("{}: an address of this machine", shown));
  }
  if (std::ranges::find(seen_, target) != seen_.end())
    return bad(fmt::format("{}: in a circle", shown));
  seen_.push_back(target);
  return target;
}

bool RedirectTrail::SameHost() const {
  const Place first = PlaceOf(seen_.front());
  const Place last = PlaceOf(seen_.back());
  if (first.host.empty() || first.host != last.host) return false;
  if (first.scheme == last.scheme) return first.port == last.port;
  return first.scheme == "http" && first.port == "80" && last.scheme == "https" &&
         last.port == "443";
}

}  // namespace modelfs::fetch
