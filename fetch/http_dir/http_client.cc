#include "fetch/http_dir/http_client.h"

#include <fmt/format.h>

#include "fetch/base/percent.h"
#include "fetch/s3/s3_error.h"

namespace modelfs::fetch {

using std::chrono::milliseconds;

namespace {

// A listing of 100,000 files in HTML has some 15 MB.
constexpr std::size_t kMaxDocumentBytes = 32u << 20;

}  // namespace

struct HttpClient::Execution {
  std::shared_ptr<HttpDirOperation> operation;
  RetryPolicy policy;
  HttpAttempt attempt = {};  // Under way.
  RedirectTrail trail{""};   // Of the attempt.
  std::string authorization = {};
  bool authorized_anew = false;
};

std::string HttpClient::UrlOf(std::string_view key) const {
  return fmt::format("{}{}", options_.url.ToString(), PercentEncode(key, Slash::kKeep));
}

std::string HttpClient::Describe(std::string_view method, std::string_view key) const {
  return fmt::format("{} {}{}", method, options_.url.ToString(), Printable(key));
}

void HttpClient::Run(std::shared_ptr<HttpDirOperation> operation, const RetryOptions& retry) {
  Attempt(std::make_shared<Execution>(Execution{
      .operation = std::move(operation),
      .policy = RetryPolicy(retry, options_.budget, options_.random, options_.timer->Now())}));
}

void HttpClient::Attempt(const ExecutionPtr& execution) {
  if (stop_.stop_requested() || execution->operation->Abandoned().stop_requested()) {
    return execution->operation->Finish(
        Fail(Errc::kCancelled, execution->operation->Describe() + ": cancelled"));
  }
  auto authorization = options_.auth->Header();
  if (!authorization) {
    return execution->operation->Finish(
        Fail(authorization.error().code,
             fmt::format("{}: {}", execution->operation->Describe(), authorization.error().what)));
  }
  execution->authorization = *std::move(authorization);
  execution->attempt = execution->operation->NextAttempt();
  execution->trail = RedirectTrail(UrlOf(execution->attempt.key));
  Send(execution);
}

void HttpClient::Send(const ExecutionPtr& execution) {
  HttpRequest request;
  request.method = execution->attempt.method;
  request.url = execution->trail.url();
  request.headers = execution->attempt.headers;
  request.headers.emplace_back("user-agent", "modelfs");
  // Ranges count bytes of what lies there.
  request.headers.emplace_back("accept-encoding", "identity");
  if (!execution->authorization.empty() && execution->trail.SameHost()) {
    request.headers.emplace_back("authorization", execution->authorization);
  }
  request.max_body_bytes = kMaxDocumentBytes;
  request.ca_bundle = options_.ca_bundle;
  request.connect_timeout = options_.connect_timeout;
  request.low_speed_time = options_.stall_timeout;
  request.stop = stop_.get_token();
  request.abandoned = execution->operation->Abandoned();
  options_.proxy.Apply(request);
  LimitToDeadline(request, execution->policy, options_.timer->Now());
  options_.transport->Send(std::move(request), execution->operation->Handler(),
                           [self = shared_from_this(), execution](Result<HttpResponse> outcome) {
                             self->OnOutcome(execution, std::move(outcome));
                           });
}

void HttpClient::OnOutcome(const ExecutionPtr& execution, Result<HttpResponse> outcome) {
  HttpOperation& operation = *execution->operation;
  if (operation.TakeProgress()) execution->policy.Progress(options_.timer->Now());
  if (outcome && RedirectTrail::IsRedirect(outcome->status)) {
    if (auto next = execution->trail.Follow(*outcome); !next) {
      return operation.Finish(
          Fail(next.error().code, fmt::format("{}: {}", operation.Describe(), next.error().what)));
    }
    return Send(execution);
  }
  HttpVerdict verdict = operation.Judge(outcome);
  switch (verdict.kind) {
    case HttpVerdict::Kind::kSuccess: execution->policy.Succeeded(); return operation.Finish({});
    case HttpVerdict::Kind::kContinue: return Attempt(execution);
    case HttpVerdict::Kind::kFail:
      if (!verdict.retry) return operation.Finish(std::unexpected(std::move(verdict.error)));
      return Retry(execution, *verdict.retry, std::nullopt, std::move(verdict.error));
    case HttpVerdict::Kind::kDefault: break;
  }
  if (outcome) return OnStatus(execution, *outcome);
  Error error = WithoutAnswer(std::move(outcome.error()));
  if (error.code != Errc::kTransient) return operation.Finish(std::unexpected(std::move(error)));
  Retry(execution, RetryKind::kTransient, std::nullopt, std::move(error));
}

void HttpClient::OnStatus(const ExecutionPtr& execution, const HttpResponse& response) {
  HttpOperation& operation = *execution->operation;
  const int status = response.status;
  if (status >= 200 && status < 300) {
    execution->policy.Succeeded();
    return operation.Finish({});
  }
  Error error{Errc::kInvalid, fmt::format("{}: HTTP {}", operation.Describe(), status)};
  if (status == 401 || status == 403) {
    error.code = Errc::kDenied;
    const std::string& file = options_.auth->file();
    // A file that has changed since it was read; else asking again makes no difference.
    if (status == 401 && !std::exchange(execution->authorized_anew, true)) {
      if (const auto now = options_.auth->Header(); now && *now != execution->authorization) {
        return Attempt(execution);
      }
    }
    error.what += file.empty() ? ": the server wants a password or a token; name a file that holds "
                                 "it by auth_file or token_file"
                               : fmt::format(": the server refuses what '{}' holds", file);
  } else if (status == 404 || status == 410) {
    error.code = Errc::kNotFound;
  } else if (status == 429 || status == 503) {
    return Retry(execution, RetryKind::kThrottling, ServerAsksToWait(response),
                 {Errc::kTransient, std::move(error.what)});
  } else if (status == 408 || status == 425 || (status >= 500 && status != 501 && status != 505)) {
    return Retry(execution, RetryKind::kTransient, ServerAsksToWait(response),
                 {Errc::kTransient, std::move(error.what)});
  }
  operation.Finish(std::unexpected(std::move(error)));
}

void HttpClient::Retry(const ExecutionPtr& execution, RetryKind kind,
                       std::optional<milliseconds> server_asks, Error error) {
  RetryLater(*execution->operation, execution->policy,
             {.kind = kind, .server_asks = server_asks, .error = std::move(error)}, *options_.timer,
             stop_.get_token(), "http.retry",
             [self = shared_from_this(), execution] { self->Attempt(execution); });
}

}  // namespace modelfs::fetch
