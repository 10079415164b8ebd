#include "fetch/s3/s3_client.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/base/time_text.h"

namespace modelfs::fetch {

using std::chrono::milliseconds;

namespace {

// A page of 1000 keys of 1024 bytes, each escaped as %XX, has 3 MB and what is around them.
constexpr std::size_t kMaxDocumentBytes = 8u << 20;

}  // namespace

struct S3Client::Execution {
  std::shared_ptr<S3Operation> operation;
  RetryPolicy policy;
  std::string region;         // Of the attempt under way.
  bool region_fixed = false;  // Each of these mistakes is mended once.
  bool region_asked = false;
  bool clock_fixed = false;
  std::optional<Credentials> keys;  // Of the attempt under way.
  bool keys_rejected = false;       // Get others for the next one.
  bool keys_changed = false;
  bool bodiless = false;  // HEAD: errors come without a code.
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

HttpRequest S3Client::Build(const S3Request& request, const std::string& region,
                            const std::optional<Credentials>& keys) const {
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
  if (keys) {
    auto now = options_.wall_clock();
    {
      MutexLock lock(mutex_);
      now += clock_offset_;
    }
    for (auto& header : SignHeaders(to_sign, *keys, {.region = region, .time = now})) {
      out.headers.push_back(std::move(header));
    }
  }
  // Bytes of objects go to handlers; what is kept is a page of 1000 keys, or an error.
  out.max_body_bytes = kMaxDocumentBytes;
  out.ca_bundle = options_.ca_bundle;
  options_.proxy.Apply(out);
  out.connect_timeout = options_.connect_timeout;
  out.low_speed_time = options_.stall_timeout;
  out.stop = stop_.get_token();
  return out;
}

void S3Client::Attempt(const ExecutionPtr& execution) {
  if (stop_.stop_requested() || execution->operation->Abandoned().stop_requested()) {
    return execution->operation->Finish(
        Fail(Errc::kCancelled, execution->operation->Describe() + ": cancelled"));
  }
  std::optional<Credentials> rejected;
  if (std::exchange(execution->keys_rejected, false)) rejected = execution->keys;
  options_.credentials->Get(
      rejected, [self = shared_from_this(), execution](Result<std::optional<Credentials>> keys) {
        self->Send(execution, std::move(keys));
      });
}

void S3Client::Send(const ExecutionPtr& execution, Result<std::optional<Credentials>> keys) {
  if (!keys) {
    Error error = std::move(keys.error());
    error.what = fmt::format("{}: {}", execution->operation->Describe(), error.what);
    if (error.code == Errc::kTransient) {
      return Retry(execution, RetryKind::kTransient, std::nullopt, std::move(error));
    }
    return execution->operation->Finish(std::unexpected(std::move(error)));
  }
  execution->keys = *std::move(keys);
  execution->region = Region();
  const S3Request attempt = execution->operation->NextAttempt();
  execution->bodiless = attempt.method == "HEAD";
  HttpRequest request = Build(attempt, execution->region, execution->keys);
  request.abandoned = execution->operation->Abandoned();
  LimitToDeadline(request, execution->policy, options_.timer->Now());
  options_.transport->Send(std::move(request), execution->operation->Handler(),
                           [self = shared_from_this(), execution](Result<HttpResponse> outcome) {
                             self->OnOutcome(execution, std::move(outcome));
                           });
}

void S3Client::OnOutcome(const ExecutionPtr& execution, Result<HttpResponse> outcome) {
  S3Operation& operation = *execution->operation;
  if (operation.TakeProgress()) execution->policy.Progress(options_.timer->Now());
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
  if (TryOtherKeys(execution, response.status, s3)) return Attempt(execution);
  if (s3.code == "RequestTimeTooSkewed" && TryClock(execution, response)) return Attempt(execution);
  if (failure.retry) {
    return Retry(execution, *failure.retry, ServerAsksToWait(response), std::move(error));
  }
  operation.Finish(std::unexpected(std::move(error)));
}

void S3Client::Retry(const ExecutionPtr& execution, RetryKind kind,
                     std::optional<milliseconds> server_asks, Error error) {
  RetryLater(*execution->operation, execution->policy,
             {.kind = kind, .server_asks = server_asks, .error = std::move(error)}, *options_.timer,
             stop_.get_token(), "s3.retry",
             [self = shared_from_this(), execution] { self->Attempt(execution); });
}

// HEAD on the bucket names its region whatever we may do there.
void S3Client::FindRegion(const ExecutionPtr& execution, Error error) {
  execution->region_asked = true;
  HttpRequest request = Build({.method = "HEAD"}, execution->region, execution->keys);
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

bool S3Client::TryOtherKeys(const ExecutionPtr& execution, int status, const S3Error& error) {
  const auto& keys = execution->keys;
  if (execution->keys_changed || !keys || !options_.credentials->CanRefresh()) return false;
  const bool guess = execution->bodiless && error.code.empty() &&
                     (status == 400 || status == 403) && !keys->session_token.empty();
  if (!guess && !IsKeysError(error)) return false;
  execution->keys_changed = execution->keys_rejected = true;
  spdlog::info("s3.keys_rejected bucket={} principal=\"{}\" status={} code={}", context_.bucket,
               context_.principal, status, Printable(error.code, 64));
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
