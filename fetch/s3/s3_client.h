#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"
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

/// What an operation makes of the outcome of an attempt.
struct S3Verdict {
  enum class Kind : std::uint8_t {
    kDefault,   ///< Let the client judge: failures by their kind, a status of 2xx is a success.
    kSuccess,   ///< All that was wanted is here, whatever the transport says.
    kContinue,  ///< Go on at once with the next attempt: the last one did its part.
    kFail,      ///< `error`, tried again if `retry` says so.
  };
  Kind kind = Kind::kDefault;
  Error error{Errc::kCorrupt, {}};
  std::optional<RetryKind> retry;
};

/// Something that takes one or more attempts. Its methods are called by S3Client, one at a time, on
/// whichever thread an attempt ends on.
class S3Operation {
 public:
  virtual ~S3Operation() = default;
  /// "GET s3://b/k [0,+4194304)".
  virtual std::string Describe() const = 0;
  virtual S3Request NextAttempt() = 0;
  /// Takes the body of the next attempt; null: the transport keeps it.
  virtual std::shared_ptr<BodyHandler> Handler() { return nullptr; }
  /// Called with every outcome first.
  virtual S3Verdict Judge(const Result<HttpResponse>& outcome) = 0;
  /// True once per stretch of progress: something arrived that need not be asked for again.
  virtual bool TakeProgress() { return false; }
  /// Exactly once, at the end; no lock is held.
  virtual void Finish(Result<void> result) = 0;
};

/// Sends the requests of one bucket: addresses, signs each attempt anew, tries again, learns the
/// bucket's region and the server's clock. Knows no S3 operation.
///
/// Threads: Run and Stop from any; operations go on on the transport's and the timer's threads.
/// Lifetime: shared by the origin and its operations in flight. Transport, timer and random are
/// borrowed and outlive them all.
/// Lock order: `mutex_` is a leaf.
class S3Client : public std::enable_shared_from_this<S3Client> {
 public:
  struct Options {
    std::string bucket;
    S3Endpoint endpoint;
    std::string region;  ///< To begin with.
    std::shared_ptr<const CredentialsProvider> credentials;
    std::string ca_bundle;  ///< PEM file; empty: the transport's default.
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
  void Stop() { stop_.request_stop(); }

  const S3Context& context() const { return context_; }

 private:
  struct Execution;
  using ExecutionPtr = std::shared_ptr<Execution>;

  void Attempt(const ExecutionPtr& execution);
  void OnOutcome(const ExecutionPtr& execution, Result<HttpResponse> outcome);
  void OnStatus(const ExecutionPtr& execution, const HttpResponse& response);
  void Retry(const ExecutionPtr& execution, RetryKind kind,
             std::optional<std::chrono::milliseconds> server_asks, Error error);
  void FindRegion(const ExecutionPtr& execution, Error error);
  bool TryRegion(const ExecutionPtr& execution, const std::string& region) EXCLUDES(mutex_);
  bool TryClock(const ExecutionPtr& execution, const HttpResponse& response) EXCLUDES(mutex_);
  HttpRequest Build(const S3Request& request, const std::string& region) const EXCLUDES(mutex_);
  std::string Region() const EXCLUDES(mutex_);

  const Options options_;
  const S3Context context_;
  std::stop_source stop_;

  mutable Mutex mutex_;
  std::string region_ GUARDED_BY(mutex_);
  std::chrono::seconds clock_offset_ GUARDED_BY(mutex_){0};
  bool reached_ GUARDED_BY(mutex_) = false;  // Some attempt got an answer.
};

}  // namespace modelfs::fetch
