#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "fetch/base/timer.h"
#include "fetch/http/operation.h"
#include "fetch/http/retry.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// Attempts are whole requests but for their `stop` and deadlines.
using RequestOperation = OperationOf<HttpRequest>;

/// Sends the requests of operations on one server and tries again what may succeed then. Knows no
/// protocol: operations make requests and judge answers.
///
/// Threads: Run and Stop from any; operations go on on the transport's and the timer's threads.
/// Lifetime: shared by its owner and the operations in flight. Transport, timer and random are
/// borrowed and outlive them all.
class RetryingClient : public std::enable_shared_from_this<RetryingClient> {
 public:
  struct Options {
    HttpTransport* transport = nullptr;
    Timer* timer = nullptr;
    std::shared_ptr<RetryBudget> budget;
    Random random;
  };
  explicit RetryingClient(Options options) : options_(std::move(options)) {}

  /// Calls operation->Finish once, after the last attempt.
  /// Errors: what the operation's verdicts say; kTransient (retries used up), kCancelled.
  void Run(std::shared_ptr<RequestOperation> operation, const RetryOptions& retry);

  /// Lets all operations end soon with kCancelled; later ones too.
  void Stop() { stop_.request_stop(); }
  std::stop_token stop_token() const { return stop_.get_token(); }
  Timer& timer() const { return *options_.timer; }

 private:
  struct Execution;
  using ExecutionPtr = std::shared_ptr<Execution>;

  void Attempt(const ExecutionPtr& execution);
  void OnOutcome(const ExecutionPtr& execution, const Result<HttpResponse>& outcome);
  void Retry(const ExecutionPtr& execution, RetryKind kind,
             std::optional<std::chrono::milliseconds> server_asks, Error error);

  const Options options_;
  std::stop_source stop_;
};

}  // namespace modelfs::fetch
