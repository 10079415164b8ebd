#include "fetch/http/retrying_client.h"

namespace modelfs::fetch {

using std::chrono::milliseconds;

struct RetryingClient::Execution {
  std::shared_ptr<RequestOperation> operation;
  RetryPolicy policy;
};

void RetryingClient::Run(std::shared_ptr<RequestOperation> operation, const RetryOptions& retry) {
  Attempt(std::make_shared<Execution>(Execution{
      .operation = std::move(operation),
      .policy = RetryPolicy(retry, options_.budget, options_.random, options_.timer->Now())}));
}

void RetryingClient::Attempt(const ExecutionPtr& execution) {
  if (stop_.stop_requested() || execution->operation->Abandoned().stop_requested()) {
    return execution->operation->Finish(
        Fail(Errc::kCancelled, execution->operation->Describe() + ": cancelled"));
  }
  HttpRequest request = execution->operation->NextAttempt();
  request.stop = stop_.get_token();
  request.abandoned = execution->operation->Abandoned();
  LimitToDeadline(request, execution->policy, options_.timer->Now());
  options_.transport->Send(
      std::move(request), execution->operation->Handler(),
      [self = shared_from_this(), execution](const Result<HttpResponse>& outcome) {
        self->OnOutcome(execution, outcome);
      });
}

void RetryingClient::OnOutcome(const ExecutionPtr& execution, const Result<HttpResponse>& outcome) {
  HttpOperation& operation = *execution->operation;
  if (operation.TakeProgress()) execution->policy.Progress(options_.timer->Now());
  HttpVerdict verdict = operation.Judge(outcome);
  switch (verdict.kind) {
    case HttpVerdict::Kind::kSuccess: execution->policy.Succeeded(); return operation.Finish({});
    case HttpVerdict::Kind::kContinue: return Attempt(execution);
    case HttpVerdict::Kind::kFail:
      if (!verdict.retry) return operation.Finish(std::unexpected(std::move(verdict.error)));
      return Retry(execution, *verdict.retry, verdict.server_asks, std::move(verdict.error));
    case HttpVerdict::Kind::kDefault: break;
  }
  if (outcome) {
    execution->policy.Succeeded();
    return operation.Finish({});
  }
  Error error = WithoutAnswer(outcome.error());
  if (error.code != Errc::kTransient) return operation.Finish(std::unexpected(std::move(error)));
  Retry(execution, RetryKind::kTransient, std::nullopt, std::move(error));
}

void RetryingClient::Retry(const ExecutionPtr& execution, RetryKind kind,
                           std::optional<milliseconds> server_asks, Error error) {
  RetryLater(*execution->operation, execution->policy,
             {.kind = kind, .server_asks = server_asks, .error = std::move(error)}, *options_.timer,
             stop_.get_token(), "http.retry",
             [self = shared_from_this(), execution] { self->Attempt(execution); });
}

}  // namespace modelfs::fetch
