#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"
#include "fetch/http/operation.h"
#include "fetch/http/proxy.h"
#include "fetch/http/retry.h"
#include "fetch/http/transport.h"
#include "fetch/s3/credentials.h"
#include "fetch/s3/s3_endpoint.h"
#include "fetch/s3/s3_error.h"
#include "fetch/s3/sigv4.h"

namespace modelfs::fetch {

/// One attempt, before it is addressed and signed.
struct S3Request {
  std::string method = "GET";
  std::optional<std::string> key;  ///< Raw bytes; nullopt: the bucket itself.
  NameValues query;                ///< Raw.
  NameValues headers;              ///< Lower-case names; signed.
};

using S3Operation = OperationOf<S3Request>;

/// Sends the requests of one bucket: addresses, signs each attempt anew, tries again, learns the
/// bucket's region and the server's clock. Has other keys fetched, once an operation, when the
/// server calls those of an attempt expired or unknown. Knows no S3 operation.
///
/// Threads: Run and Stop from any; operations go on on the transport's and the timer's threads, and
/// on those that fetch credentials.
/// Lifetime: shared by the origin and its operations in flight. Transport, timer and random are
/// borrowed and outlive them all.
/// Lock order: `mutex_` is a leaf.
class S3Client : public std::enable_shared_from_this<S3Client> {
 public:
  struct Options {
    std::string bucket;
    S3Endpoint endpoint;
    std::string region;  ///< To begin with.
    std::shared_ptr<CredentialsProvider> credentials;
    std::string ca_bundle;  ///< PEM file; empty: the transport's default.
    ProxySettings proxy;
    HttpTransport* transport = nullptr;
    Timer* timer = nullptr;
    std::shared_ptr<RetryBudget> budget;
    Random random;
    std::function<std::chrono::system_clock::time_point()> wall_clock;
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::seconds stall_timeout{15};
  };
  explicit S3Client(Options options);

  /// Calls operation->Finish once, after the last attempt. Errors: as Origin's.
  void Run(std::shared_ptr<S3Operation> operation, const RetryOptions& retry);

  /// Lets all operations end soon with kCancelled; later ones too.
  void Stop() {
    stop_.request_stop();
    options_.credentials->Stop();
  }

  const S3Context& context() const { return context_; }

 private:
  struct Execution;
  using ExecutionPtr = std::shared_ptr<Execution>;

  void Attempt(const ExecutionPtr& execution);
  void Send(const ExecutionPtr& execution, Result<std::optional<Credentials>> keys);
  void OnOutcome(const ExecutionPtr& execution, Result<HttpResponse> outcome);
  void OnStatus(const ExecutionPtr& execution, const HttpResponse& response);
  void Retry(const ExecutionPtr& execution, RetryKind kind,
             std::optional<std::chrono::milliseconds> server_asks, Error error);
  void FindRegion(const ExecutionPtr& execution, Error error);
  bool TryRegion(const ExecutionPtr& execution, const std::string& region) EXCLUDES(mutex_);
  bool TryOtherKeys(const ExecutionPtr& execution, int status, const S3Error& error);
  bool TryClock(const ExecutionPtr& execution, const HttpResponse& response) EXCLUDES(mutex_);
  HttpRequest Build(const S3Request& request, const std::string& region,
                    const std::optional<Credentials>& keys) const EXCLUDES(mutex_);
  std::string Region() const EXCLUDES(mutex_);

  const Options options_;
  const S3Context context_;
  std::stop_source stop_;

  mutable Mutex mutex_;
  std::string region_ GUARDED_BY(mutex_);
  std::chrono::seconds clock_offset_ GUARDED_BY(mutex_){0};
};

}  // namespace modelfs::fetch
