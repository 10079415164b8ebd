#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// One HTTP request. Redirects are never followed here; nothing is added but Host.
struct HttpRequest {
  std::string method = "GET";
  std::string url;  ///< Sent as it is: path and query already encoded.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::chrono::milliseconds connect_timeout{5'000};
  /// Whole-request limit; zero means none (stall detection applies).
  std::chrono::milliseconds total_timeout{0};
  /// Stall detection: fail when fewer than `low_speed_bytes` per second arrive for so long.
  std::chrono::seconds low_speed_time{15};
  std::uint64_t low_speed_bytes = 1024;
  /// Where a body that no handler takes is kept, up to this many bytes; more is an error.
  std::size_t max_body_bytes = 64u << 20;
  /// PEM file, or folder, of the certificates to trust; empty: the transport's own default.
  std::string ca_bundle;
  std::string proxy;     ///< "http://[user:password@]host:3128"; empty: none. See ProxySettings.
  std::string no_proxy;  ///< Hosts that are asked without; as libcurl's no_proxy.
  /// PEM file with a certificate and its key, to show to servers that ask; empty: none.
  std::string client_certificate;
  bool insecure_tls = false;  ///< Takes any certificate of the server.
  /// When either asks to stop, the request ends soon with kCancelled: that of whoever sends, and
  /// that of whoever wanted the answer.
  std::stop_token stop;
  std::stop_token abandoned;

  bool StopRequested() const { return stop.stop_requested() || abandoned.stop_requested(); }
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< Names in lower case.
  std::string body;                                          ///< Empty when a handler took it.
  std::chrono::microseconds time_to_first_byte{0};
  std::string_view Header(std::string_view lower_case_name) const;  ///< "" when absent.
};

/// Streams a body instead of keeping it. Called on the http thread; must not wait.
class BodyHandler {
 public:
  virtual ~BodyHandler() = default;
  /// After the headers, before any body. True: body goes to OnBody. False: it is kept in
  /// HttpResponse::body (an error document).
  virtual bool OnHeaders(const HttpResponse& head) = 0;
  /// False aborts the transfer (kCancelled).
  virtual bool OnBody(std::span<const std::byte> bytes) = 0;
  /// Whether somebody waits for the body: see BodySink.
  virtual bool IsUrgent() const { return false; }
};

/// Sends requests. The seam between origins and libcurl; tests put a fake here.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  /// Returns at once; `done` runs exactly once on an http thread with no lock held. Any status is a
  /// value, not an error. `handler` may be null.
  /// Errors: kTransient (connect, reset, stall, short body), kDenied (certificate), kNotFound (host
  /// name does not resolve), kInvalid (URL), kCorrupt (no HTTP, more than we take, a transfer
  /// coding that nobody asked for, or two lengths, ranges or tags that differ), kCancelled. The
  /// text names the URL without its query. A request whose reused connection turns out dead before
  /// the answer began is sent once more by itself.
  virtual void Send(HttpRequest request, std::shared_ptr<BodyHandler> handler,
                    Done<HttpResponse> done) = 0;
};

}  // namespace modelfs::fetch
