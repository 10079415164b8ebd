#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "fetch/base/bandwidth.h"
#include "fetch/base/mutex.h"
#include "fetch/base/timer_thread.h"
#include "fetch/base/worker_pool.h"
#include "fetch/http/curl_transport.h"
#include "fetch/http/retry.h"

namespace modelfs::fetch {

/// What all origins of a process share: the http threads and their connections, the timer, the
/// threads that read directories, and one retry budget per endpoint.
///
/// Threads: all methods from any thread; it owns `http-N`, `tick` and, once used, `dir-N`,
/// `keys-N`. Lifetime: outlives every origin. When it is destroyed, what origins still had in
/// flight has completed, with kCancelled where it was not done, before the destructor returns.
/// Requires that the origins are gone by then and that no thread of its own runs the destructor.
class FetchContext {
 public:
  struct Options {
    int http_threads = 2;                   ///< curl multi loops.
    std::size_t connections_per_host = 64;  ///< Of each http thread.
    std::string ca_bundle;                  ///< PEM file; empty: the system's.
    int directory_threads = 4;              ///< For `dir:` sources.
  };
  explicit FetchContext(Options options);

  HttpTransport& transport() { return transport_; }
  Timer& timer() { return timer_; }
  /// Of all downloads. Without a limit to begin with.
  Bandwidth& bandwidth() { return bandwidth_; }
  WorkerPool& directory_pool() EXCLUDES(mutex_);
  /// For programs and files that give credentials; `keys-N`.
  WorkerPool& credential_pool() EXCLUDES(mutex_);
  std::shared_ptr<RetryBudget> BudgetFor(std::string_view endpoint) EXCLUDES(mutex_);
  /// For the jitter of retries; valid as long as the context.
  Random random();

 private:
  const Options options_;
  Mutex mutex_;
  std::mt19937_64 generator_ GUARDED_BY(mutex_){std::random_device{}()};
  std::map<std::string, std::shared_ptr<RetryBudget>, std::less<>> budgets_ GUARDED_BY(mutex_);
  Bandwidth bandwidth_;
  CurlTransport transport_;
  // Ends before the transport: what waits for a retry is completed while sending still works.
  TimerThread timer_;
  std::unique_ptr<WorkerPool> directory_pool_ GUARDED_BY(mutex_);
  std::unique_ptr<WorkerPool> credential_pool_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fetch
