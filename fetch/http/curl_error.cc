#include "fetch/http/curl_error.h"

#include <fmt/format.h>

#include <cerrno>

#include "fetch/base/percent.h"
#include "fetch/http/curl_handle.h"

namespace modelfs::fetch {
namespace {

std::string HostOf(std::string_view url) {
  CurlUrl parsed(curl_url());
  if (!parsed ||
      curl_url_set(parsed.get(), CURLUPART_URL, std::string(url).c_str(), 0) != CURLUE_OK) {
    return Printable(url.substr(0, url.find('?')));
  }
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), which, &text, 0) != CURLUE_OK || text == nullptr) {
      return std::string();
    }
    std::string out(text);
    curl_free(text);
    return out;
  };
  const std::string port = part(CURLUPART_PORT);
  return part(CURLUPART_HOST) + (port.empty() ? "" : ":" + port);
}

}  // namespace

std::string DescribeRequest(std::string_view method, std::string_view url) {
  url = url.substr(0, url.find('?'));
  const std::size_t authority = url.find("://");
  if (authority != std::string_view::npos) {
    const std::size_t begin = authority + 3;
    const std::size_t end = std::min(url.find('/', begin), url.size());
    const std::size_t at = url.substr(0, end).rfind('@');
    if (at != std::string_view::npos && at >= begin) {
      return fmt::format("{} {}{}", method, url.substr(0, begin), Printable(url.substr(at + 1)));
    }
  }
  return fmt::format("{} {}", method, Printable(url));
}

Error CurlFailure(CURLcode code, std::string_view detail, long os_errno, std::string_view method,
                  std::string_view url) {
  const std::string what = DescribeRequest(method, url);
  const std::string why = detail.empty() ? curl_easy_strerror(code) : Printable(detail);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return {Errc::kNotFound,
              fmt::format("{}: host '{}' cannot be resolved: {}", what, HostOf(url), why)};
    case CURLE_COULDNT_CONNECT:
      if (os_errno == ECONNREFUSED) {
        return {Errc::kTransient,
                fmt::format("{}: connection refused by {}: is the server running there?", what,
                            HostOf(url))};
      }
      return {Errc::kTransient,
              fmt::format("{}: cannot connect to {}: {}", what, HostOf(url), why)};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return {
          Errc::kDenied,
          fmt::format(
              "{}: certificate of host {} is not trusted: {} (if it is your own, set ca_bundle or "
              "AWS_CA_BUNDLE to the PEM file of its issuer)",
              what, HostOf(url), why)};
    case CURLE_SSL_CACERT_BADFILE:
      return {Errc::kInvalid,
              fmt::format("{}: the certificate file of ca_bundle cannot be used: {}", what, why)};
    case CURLE_SSL_CONNECT_ERROR:
      if (detail.find("wrong version number") != std::string_view::npos) {
        return {Errc::kInvalid,
                fmt::format("{}: {} does not speak TLS; is it an http:// endpoint? ({})", what,
                            HostOf(url), why)};
      }
      return {Errc::kTransient, fmt::format("{}: TLS handshake failed: {}", what, why)};
    case CURLE_OPERATION_TIMEDOUT:
      return {Errc::kTransient, fmt::format("{}: timed out: {}", what, why)};
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      return {Errc::kTransient, fmt::format("{}: connection lost: {}", what, why)};
    case CURLE_URL_MALFORMAT:
      return {Errc::kInvalid, fmt::format("{}: malformed URL: {}", what, why)};
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_FUNCTION_ARGUMENT:  // libcurl's for a head that begins with a folded header.
      return {Errc::kCorrupt,
              fmt::format("{}: {} does not answer in HTTP: {}", what, HostOf(url), why)};
    case CURLE_FILESIZE_EXCEEDED:
      return {Errc::kCorrupt, fmt::format("{}: the answer is larger than we take: {}", what, why)};
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_WRITE_ERROR: return {Errc::kCancelled, fmt::format("{}: cancelled", what)};
    default: return {Errc::kTransient, fmt::format("{}: {}", what, why)};
  }
}

}  // namespace modelfs::fetch
