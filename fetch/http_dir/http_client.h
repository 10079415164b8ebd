#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"
#include "fetch/http/http_auth.h"
#include "fetch/http/operation.h"
#include "fetch/http/proxy.h"
#include "fetch/http/redirect.h"
#include "fetch/http/retry.h"
#include "fetch/http/transport.h"
#include "fetch/http_dir/http_url.h"

namespace modelfs::fetch {

/// One attempt, before it is addressed.
struct HttpAttempt {
  std::string method = "GET";
  std::string key;  ///< Below the origin's URL, raw bytes: "a/b.bin", "a/", "".
  std::vector<std::pair<std::string, std::string>> headers;
};

using HttpDirOperation = OperationOf<HttpAttempt>;

/// Sends the requests of one web server: addresses, authorises, follows redirects, tries again.
/// What a password or token file says goes to the server's own host and nowhere else.
///
/// Threads: Run and Stop from any. Lifetime: shared by the origin and its operations in flight;
/// what is borrowed outlives them all.
class HttpClient : public std::enable_shared_from_this<HttpClient> {
 public:
  struct Options {
    HttpUrl url;
    std::shared_ptr<HttpAuth> auth;
    std::string ca_bundle;
    ProxySettings proxy;
    HttpTransport* transport = nullptr;
    Timer* timer = nullptr;
    std::shared_ptr<RetryBudget> budget;
    Random random;
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::seconds stall_timeout{15};
  };
  explicit HttpClient(Options options) : options_(std::move(options)) {}

  void Run(std::shared_ptr<HttpDirOperation> operation, const RetryOptions& retry);
  void Stop() { stop_.request_stop(); }

  /// "GET https://host/models/a.bin": for messages.
  std::string Describe(std::string_view method, std::string_view key) const;

 private:
  struct Execution;
  using ExecutionPtr = std::shared_ptr<Execution>;

  void Attempt(const ExecutionPtr& execution);
  void Send(const ExecutionPtr& execution);
  void OnOutcome(const ExecutionPtr& execution, Result<HttpResponse> outcome);
  void OnStatus(const ExecutionPtr& execution, const HttpResponse& response);
  void Retry(const ExecutionPtr& execution, RetryKind kind,
             std::optional<std::chrono::milliseconds> server_asks, Error error);
  std::string UrlOf(std::string_view key) const;

  const Options options_;
  std::stop_source stop_;
};

}  // namespace modelfs::fetch
