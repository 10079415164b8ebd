#include "fetch/s3/s3_client.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/base/time_text.h"

namespace modelfs::fetch {

using std::chrono::milliseconds;

struct S3Client::Execution {
  std::shared_ptr<S3Operation> operation;
  RetryPolicy policy;
  std::string region;         // Of the attempt under way.
  bool region_fixed = false;  // Each of these mistakes is mended once.
  bool region_asked = false;
  bool clock_fixed = false;
};

S3Client::S3Client(Options options)
    : options_(std::move(options)),
      context_{.bucket = options_.bucket,
               .endpoint = options_.endpoint.Canonical(),
               .principal = options_.credentials->Principal()},
      region_(options_.region) {}

void S3Client::Run(std::shared_ptr<S3Operation> operation, const RetryOptions& retry) {
  Attempt(std::make_shared<Execution>(Execution{
      .operation = std::move(operation),
      .policy = RetryPolicy(retry, options_.budget, options_.random, options_.timer->Now()),
      .region = {}}));
}

std::string S3Client::Region() const {
  MutexLock lock(mutex_);
  return region_;
}

HttpRequest S3Client::Build(const S3Request& request, const std::string& region) const {
  const S3Endpoint::Address address = options_.endpoint.In(region);
  SigV4Request to_sign{.method = request.method,
                       .path = address.path,
                       .query = request.query,
                       .headers = request.headers};
  if (request.key) to_sign.path.append("/").append(PercentEncode(*request.key, Slash::kKeep));
  if (to_sign.path.empty()) to_sign.path.push_back('/');
  to_sign.headers.emplace_back("host", address.host);

  HttpRequest out;
  out.method = request.method;
  out.url = address.scheme_and_authority + to_sign.path;
  if (!request.query.empty()) out.url.append("?").append(CanonicalQuery(request.query));
  out.headers = request.headers;
  out.headers.emplace_back("user-agent", "modelfs");
  if (const std::optional<Credentials> keys = options_.credentials->Snapshot()) {
    auto now = options_.wall_clock();
    {
      MutexLock lock(mutex_);
      now += clock_offset_;
    }
    for (auto& header : SignHeaders(to_sign, *keys, {.region = region, .time = now})) {
      out.headers.push_back(std::move(header));
    }
  }
  out.ca_bundle = options_.ca_bundle;
  out.connect_timeout = options_.connect_timeout;
  out.low_speed_time = options_.stall_timeout;
  out.stop = stop_.get_token();
  return out;
}

void S3Client::Attempt(const ExecutionPtr& execution) {
  if (stop_.stop_requested()) {
    return execution->operation->Finish(
        Fail(Errc::kCancelled, execution->operation->Describe() + ": cancelled"));
  }
  execution->region = Region();
  HttpRequest request = Build(execution->operation->NextAttempt(), execution->region);
  if (const auto deadline = execution->policy.options().deadline;
      deadline != Timer::Clock::time_point{}) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - options_.timer->Now());
    request.total_timeout = std::max(left, milliseconds(1));
    request.connect_timeout = std::min(request.connect_timeout, request.total_timeout);
  }
  options_.transport->Send(std::move(request), execution->operation->Handler(),
                           [self = shared_from_this(), execution](Result<HttpResponse> outcome) {
                             self->OnOutcome(execution, std::move(outcome));
                           });
}

void S3Client::OnOutcome(const ExecutionPtr& execution, Result<HttpResponse> outcome) {
  S3Operation& operation = *execution->operation;
  if (operation.TakeProgress()) execution->policy.Progress(options_.timer->Now());
  if (outcome) {
    MutexLock lock(mutex_);
    reached_ = true;
  }
  S3Verdict verdict = operation.Judge(outcome);
  switch (verdict.kind) {
    case S3Verdict::Kind::kSuccess: execution->policy.Succeeded(); return operation.Finish({});
    case S3Verdict::Kind::kContinue: return Attempt(execution);
    case S3Verdict::Kind::kFail:
      if (!verdict.retry) return operation.Finish(std::unexpected(std::move(verdict.error)));
      return Retry(execution, *verdict.retry, std::nullopt, std::move(verdict.error));
    case S3Verdict::Kind::kDefault: break;
  }
  if (outcome) return OnStatus(execution, *outcome);
  Error error = std::move(outcome.error());
  bool reached;
  {
    MutexLock lock(mutex_);
    reached = reached_;
  }
  // A name that once led somewhere and now does not: DNS has a bad moment.
  if (error.code == Errc::kNotFound && reached) error.code = Errc::kTransient;
  if (error.code != Errc::kTransient) return operation.Finish(std::unexpected(std::move(error)));
  Retry(execution, RetryKind::kTransient, std::nullopt, std::move(error));
}

void S3Client::OnStatus(const ExecutionPtr& execution, const HttpResponse& response) {
  S3Operation& operation = *execution->operation;
  if (response.status >= 200 && response.status < 300) {
    execution->policy.Succeeded();
    return operation.Finish({});
  }
  const S3Error s3 = ParseS3Error(response);
  const S3Failure failure = ClassifyS3Error(response.status, s3);
  Error error{failure.code, DescribeS3Error(operation.Describe(), response.status, s3, context_)};
  if (IsRegionError(response.status, s3)) {
    if (!s3.region.empty()) {
      if (TryRegion(execution, s3.region)) return Attempt(execution);
    } else if (!execution->region_asked && !execution->region_fixed) {
      return FindRegion(execution, std::move(error));
    }
  }
  if (s3.code == "RequestTimeTooSkewed" && TryClock(execution, response)) return Attempt(execution);
  if (failure.retry) {
    return Retry(execution, *failure.retry, ServerAsksToWait(response), std::move(error));
  }
  operation.Finish(std::unexpected(std::move(error)));
}

void S3Client::Retry(const ExecutionPtr& execution, RetryKind kind,
                     std::optional<milliseconds> server_asks, Error error) {
  S3Operation& operation = *execution->operation;
  if (stop_.stop_requested()) {
    return operation.Finish(Fail(Errc::kCancelled, operation.Describe() + ": cancelled"));
  }
  const int attempt = execution->policy.attempts();
  const auto delay = execution->policy.Next(kind, server_asks, options_.timer->Now());
  if (!delay) {
    error.what += fmt::format(" (attempt {}, giving up)", attempt);
    return operation.Finish(std::unexpected(std::move(error)));
  }
  spdlog::log(attempt < 3 ? spdlog::level::debug : spdlog::level::warn,
              "s3.retry attempt={} delay_ms={} why=\"{}\"", attempt, delay->count(), error.what);
  options_.timer->After(*delay, stop_.get_token(),
                        [self = shared_from_this(), execution] { self->Attempt(execution); });
}

// HEAD on the bucket names its region whatever we may do there.
void S3Client::FindRegion(const ExecutionPtr& execution, Error error) {
  execution->region_asked = true;
  HttpRequest request = Build({.method = "HEAD"}, execution->region);
  options_.transport->Send(
      std::move(request), nullptr,
      [self = shared_from_this(), execution,
       error = std::move(error)](Result<HttpResponse> outcome) mutable {
        const std::string region(outcome ? outcome->Header("x-amz-bucket-region") : "");
        if (!region.empty() && self->TryRegion(execution, region)) return self->Attempt(execution);
        execution->operation->Finish(std::unexpected(std::move(error)));
      });
}

bool S3Client::TryRegion(const ExecutionPtr& execution, const std::string& region) {
  if (execution->region_fixed || region == execution->region) return false;
  // It becomes part of a host name.
  const bool good = region.size() <= 64 && std::ranges::all_of(region, [](unsigned char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                    });
  if (!good) return false;
  execution->region_fixed = true;
  {
    MutexLock lock(mutex_);
    region_ = region;
  }
  spdlog::info("s3.region_learned bucket={} region={} was={}", context_.bucket, region,
               execution->region);
  return true;
}

bool S3Client::TryClock(const ExecutionPtr& execution, const HttpResponse& response) {
  const auto server = ParseHttpDate(response.Header("date"));
  if (!server || execution->clock_fixed) return false;
  execution->clock_fixed = true;
  const auto offset = std::chrono::round<std::chrono::seconds>(*server - options_.wall_clock());
  {
    MutexLock lock(mutex_);
    clock_offset_ = offset;
  }
  spdlog::warn("s3.clock_differs endpoint={} offset_s={}", context_.endpoint, offset.count());
  return true;
}

}  // namespace modelfs::fetch
