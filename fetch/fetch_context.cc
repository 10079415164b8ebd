#include "fetch/fetch_context.h"

namespace modelfs::fetch {

FetchContext::FetchContext(Options options)
    : options_(std::move(options)),
      transport_({.threads = options_.http_threads,
                  .connections_per_host = options_.connections_per_host,
                  .ca_bundle = options_.ca_bundle,
                  .bandwidth = &bandwidth_}) {}

WorkerPool& FetchContext::directory_pool() {
  MutexLock lock(mutex_);
  if (!directory_pool_)
    directory_pool_ = std::make_unique<WorkerPool>("dir", options_.directory_threads);
  return *directory_pool_;
}

WorkerPool& FetchContext::credential_pool() {
  MutexLock lock(mutex_);
  if (!credential_pool_) credential_pool_ = std::make_unique<WorkerPool>("keys", 2);
  return *credential_pool_;
}

std::shared_ptr<RetryBudget> FetchContext::BudgetFor(std::string_view endpoint) {
  MutexLock lock(mutex_);
  auto& budget = budgets_[std::string(endpoint)];
  if (!budget) budget = std::make_shared<RetryBudget>();
  return budget;
}

Random FetchContext::random() {
  return [this] {
    MutexLock lock(mutex_);
    return std::uniform_real_distribution<double>(0, 1)(generator_);
  };
}

}  // namespace modelfs::fetch
