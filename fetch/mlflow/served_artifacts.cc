#include "fetch/mlflow/served_artifacts.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "fetch/forwarding_sink.h"
#include "fetch/mlflow/artifact_uri.h"
#include "fetch/mlflow/mlflow_error.h"

namespace modelfs::fetch {
namespace {

using Way = ServedArtifacts::Way;

constexpr int kPresignedTries = 3;
// A 500 is "no such file" at old servers, and a bad moment of the storage at all.
constexpr int kServerErrors = 3;
// Looking for the way on a file that nobody reads.
constexpr int kProbeAttempts = 3;

std::string_view Name(Way way) {
  switch (way) {
    case Way::kUnknown: return "unknown";
    case Way::kPresigned: return "presigned";
    case Way::kRanges: return "ranges";
    case Way::kStream: return "stream";
  }
  return "";
}

class NullSink final : public BodySink {
 public:
  void Append(std::span<const std::byte>) override {}
};

/// Passes on and counts, so that a read can go on by another request.
class CountingSink final : public ForwardingSink {
 public:
  using ForwardingSink::ForwardingSink;
  void Append(std::span<const std::byte> bytes) override {
    ForwardingSink::Append(bytes);
    count_ += bytes.size();
  }
  std::uint64_t count() const { return count_; }

 private:
  std::uint64_t count_ = 0;
};

/// A storage's refusal: its document is none of MLflow's.
HttpVerdict JudgeStorage(const std::string& what, const HttpResponse& response) {
  Error error{Errc::kInvalid,
              fmt::format("GET {}: the storage answers HTTP {}", what, response.status)};
  HttpVerdict verdict{.kind = HttpVerdict::Kind::kFail, .error = std::move(error)};
  if (response.status == 403 || response.status == 401) verdict.error.code = Errc::kDenied;
  if (response.status == 404) verdict.error.code = Errc::kChanged;
  if (response.status >= 500 || response.status == 429 || response.status == 408) {
    verdict.error.code = Errc::kTransient;
    verdict.retry = response.status == 503 || response.status == 429 ? RetryKind::kThrottling
                                                                     : RetryKind::kTransient;
  }
  return verdict;
}

}  // namespace

ServedArtifacts::ServedArtifacts(Options options)
    : options_(std::move(options)),
      urls_(options_.presign
                ? std::make_shared<PresignedUrls>(options_.client->base_url(), options_.presign,
                                                  &options_.client->http().timer())
                : nullptr) {}

void ServedArtifacts::Read(Object object, const Object& sample, ByteRange range,
                           std::shared_ptr<BodySink> sink, Done<void> done) {
  Job job{.object = std::move(object),
          .range = range,
          .sink = std::move(sink),
          .done = std::move(done)};
  const bool own = sample.path == job.object.path;
  ReadOnceWayIsFound(std::move(job), {.object = sample, .patient = own});
}

void ServedArtifacts::ReadOnceWayIsFound(Job job, const Probe& probe) {
  if (way() != Way::kUnknown) return Go(std::move(job));
  FindWay(probe, [self = shared_from_this(), job = std::move(job)](const Result<void>& found,
                                                                   const Probe& asked) mutable {
    if (found) return self->Go(std::move(job));
    // What is wrong with another file is no reason to fail this one, but a server that is down is.
    const Errc code = found.error().code;
    const bool down = code == Errc::kCancelled || (code == Errc::kTransient && asked.patient);
    if (down || asked.object.path == job.object.path) {
      return job.done(std::unexpected(found.error()));
    }
    const Probe own{.object = job.object, .patient = true};
    self->ReadOnceWayIsFound(std::move(job), own);
  });
}

void ServedArtifacts::FindWay(const Probe& probe, WayFound done) {
  {
    MutexLock lock(mutex_);
    waiting_.push_back(std::move(done));
    if (std::exchange(asking_, true)) return;
  }
  if (urls_) return TryPresigned(probe);
  TryRanges(probe);
}

void ServedArtifacts::TryPresigned(const Probe& probe) {
  const auto failed = [self = shared_from_this(), probe](const Error& error) {
    spdlog::log(error.code == Errc::kTransient ? spdlog::level::warn : spdlog::level::debug,
                "mlflow.no_presigned server={} why=\"{}\"", self->options_.client->base_url(),
                error.what);
    self->TryRanges(probe);
  };
  urls_->Get(probe.object.path,
             [self = shared_from_this(), probe, failed](Result<PresignedUrl> url) mutable {
               if (!url) return failed(url.error());
               self->RunAt(*url, {.object = probe.object,
                                  .range = {0, 1},
                                  .sink = std::make_shared<NullSink>(),
                                  .done = [self, failed, probe](const Result<void>& read) {
                                    if (read) return self->Found(Way::kPresigned, probe);
                                    failed(read.error());
                                  }});
             });
}

void ServedArtifacts::TryRanges(const Probe& probe) {
  if (!options_.ranges) return Found(Way::kStream, probe);
  RetryOptions retry = options_.retry;
  if (!probe.patient) {
    retry.max_attempts = kProbeAttempts;
    retry.patience = {};
  }
  Run({.object = probe.object,
       .range = {0, 1},
       .sink = std::make_shared<NullSink>(),
       .done =
           [self = shared_from_this(), probe](Result<void> read) {
             if (read) return self->Found(Way::kRanges, probe);
             if (read.error().code == Errc::kUnranged) return self->Found(Way::kStream, probe);
             self->Found(std::unexpected(std::move(read.error())), probe);
           }},
      Delivery::kRanges, retry);
}

void ServedArtifacts::Found(Result<Way> way, const Probe& asked) {
  Result<void> outcome;
  if (way) {
    way_ = *way;
    spdlog::info("mlflow.way server={} way={}", options_.client->base_url(), Name(*way));
  } else {
    outcome = std::unexpected(way.error());
  }
  std::vector<WayFound> waiting;
  {
    MutexLock lock(mutex_);
    asking_ = false;
    waiting.swap(waiting_);
  }
  for (auto& done : waiting) done(outcome, asked);
}

void ServedArtifacts::Go(Job job) {
  switch (way()) {
    case Way::kPresigned: return ReadPresigned(std::move(job), kPresignedTries);
    case Way::kUnknown:
    case Way::kRanges: return ReadRanges(std::move(job));
    case Way::kStream: return ReadStream(std::move(job));
  }
}

void ServedArtifacts::ReadPresigned(Job job, int tries) {
  const std::string path = job.object.path;
  urls_->Get(path, [self = shared_from_this(), job = std::move(job), path,
                    tries](Result<PresignedUrl> url) mutable {
    if (!url) {
      // The server does not sign any more: look for another way next time.
      if (url.error().code != Errc::kTransient) self->way_ = Way::kUnknown;
      return job.done(std::unexpected(std::move(url.error())));
    }
    auto sink = std::make_shared<CountingSink>(job.sink);
    Job part{.object = job.object, .range = job.range, .sink = sink, .done = nullptr};
    part.done = [self, job = std::move(job), sink, path, tries,
                 used = url->url](Result<void> read) mutable {
      const bool expired = !read && read.error().code == Errc::kDenied;
      if (!expired || tries <= 1) return job.done(std::move(read));
      self->urls_->Drop(path, used);
      job.range.begin += sink->count();
      self->ReadPresigned(std::move(job), sink->count() > 0 ? kPresignedTries : tries - 1);
    };
    self->RunAt(*url, std::move(part));
  });
}

void ServedArtifacts::ReadRanges(Job job) {
  auto done = std::move(job.done);
  job.done = [self = shared_from_this(), done = std::move(done)](Result<void> read) mutable {
    if (!read && read.error().code == Errc::kUnranged && self->way() == Way::kRanges) {
      spdlog::warn("mlflow.ranges_ignored server={} why=\"{}\"", self->options_.client->base_url(),
                   read.error().what);
      self->way_ = Way::kStream;
    }
    done(std::move(read));
  };
  Run(std::move(job), Delivery::kRanges, options_.retry);
}

void ServedArtifacts::ReadStream(Job job) {
  if (job.range != ByteRange{0, job.object.size_bytes}) {
    return job.done(Fail(Errc::kUnranged, fmt::format("GET {}: the server sends it only as a whole",
                                                      job.object.what)));
  }
  {
    MutexLock lock(mutex_);
    if (streams_ >= options_.streams_at_once) {
      queue_.push_back(std::move(job));
      return;
    }
    ++streams_;
  }
  auto done = std::move(job.done);
  job.done = [self = shared_from_this(), done = std::move(done)](Result<void> read) mutable {
    self->StreamEnded();
    done(std::move(read));
  };
  Run(std::move(job), Delivery::kStream, options_.retry);
}

void ServedArtifacts::StreamEnded() {
  std::optional<Job> next;
  {
    MutexLock lock(mutex_);
    --streams_;
    if (!queue_.empty()) {
      next = std::move(queue_.front());
      queue_.pop_front();
    }
  }
  if (next) ReadStream(std::move(*next));
}

void ServedArtifacts::Run(Job job, Delivery delivery, const RetryOptions& retry) {
  const std::shared_ptr<MlflowClient> client = options_.client;
  auto request = [client, url = options_.url_path(job.object.path), delivery] {
    HttpRequest made = client->Request(url);
    // The server may first fetch the whole object from its storage before it sends a byte.
    if (delivery == Delivery::kStream) made.low_speed_time = std::chrono::seconds(300);
    return made;
  };
  auto judge = [what = "GET " + job.object.what, client,
                errors = 0](const HttpResponse& response) mutable {
    HttpVerdict verdict =
        JudgeMlflowStatus(what, client->base_url(), response, MlflowRoute::kArtifact);
    // Listed, and not there any more: as at every other origin.
    if (response.status == 404 && verdict.error.code == Errc::kNotFound) {
      verdict.error.code = Errc::kChanged;
    }
    if (response.status == 503 || (response.status == 500 && ++errors < kServerErrors)) {
      verdict.retry = RetryKind::kTransient;
    }
    return verdict;
  };
  options_.client->http().Run(
      std::make_shared<ObjectReader>(ObjectReader::Options{.what = job.object.what,
                                                           .size_bytes = job.object.size_bytes,
                                                           .range = job.range,
                                                           .delivery = delivery,
                                                           .request = std::move(request),
                                                           .judge = std::move(judge),
                                                           .pin = job.object.pin,
                                                           .sink = std::move(job.sink),
                                                           .done = std::move(job.done)}),
      retry);
}

void ServedArtifacts::RunAt(const PresignedUrl& url, Job job) {
  auto request = [url, ca = options_.storage_ca_bundle, proxy = options_.proxy] {
    HttpRequest made;
    made.url = url.url;
    made.headers = url.headers;
    made.ca_bundle = ca;
    proxy.Apply(made);
    return made;
  };
  options_.storage->Run(
      std::make_shared<ObjectReader>(ObjectReader::Options{
          .what = fmt::format("{} at {}", job.object.what, UrlOrigin(url.url)),
          .size_bytes = job.object.size_bytes,
          .range = job.range,
          .delivery = Delivery::kRanges,
          .request = std::move(request),
          .judge = [what = job.object.what](
                       const HttpResponse& response) { return JudgeStorage(what, response); },
          .pin = job.object.pin,
          .sink = std::move(job.sink),
          .done = std::move(job.done)}),
      options_.retry);
}

}  // namespace modelfs::fetch
