#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace modelfs::fs {

/// One request, as a route sees it. Lives as long as the call.
struct HttpRequest {
  std::string_view method;  ///< HEAD arrives as GET.
  std::string_view path;    ///< Without the query.
  std::string_view body;    ///< Raw bytes.
  /// The value of a header, whatever its case; nullopt when it is not there.
  std::function<std::optional<std::string>(const char* name)> header;
};

struct HttpAnswer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

enum class HttpAccess : std::uint8_t {
  kOpen,   ///< For everybody: it gives nothing away, or checks by itself who calls.
  kToken,  ///< Off loopback only for who has the token.
};

/// What HttpServer does with requests for one path. Other parts of the program add rows of their
/// own to the table that it is given.
struct HttpRoute {
  std::string method;  ///< "GET", "POST".
  std::string path;    ///< Exactly this one.
  HttpAccess access = HttpAccess::kToken;
  /// Called on the server's threads, several at a time; may take a moment but not wait.
  std::function<HttpAnswer(const HttpRequest&)> serve;
};

}  // namespace modelfs::fs
