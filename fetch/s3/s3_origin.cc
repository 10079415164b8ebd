#include "fetch/s3/s3_origin.h"

#include <fmt/format.h>

#include "fetch/base/percent.h"
#include "fetch/domain.h"
#include "fetch/s3/s3_checksums.h"
#include "fetch/s3/s3_lister.h"
#include "fetch/s3/s3_reader.h"

namespace modelfs::fetch {
namespace {

// Asks for one key: whether we may list at all, and whether anything is there.
class S3Probe final : public S3Operation {
 public:
  S3Probe(S3Uri uri, std::string endpoint, Done<void> done)
      : uri_(std::move(uri)), endpoint_(std::move(endpoint)), done_(std::move(done)) {}

  std::string Describe() const override {
    return fmt::format("LIST s3://{}/{}", uri_.bucket, Printable(uri_.prefix));
  }
  S3Request NextAttempt() override {
    return {.query = {{"list-type", "2"},
                      {"max-keys", "1"},
                      {"encoding-type", "url"},
                      {"prefix", uri_.prefix}}};
  }
  HttpVerdict Judge(const Result<HttpResponse>& outcome) override {
    using enum HttpVerdict::Kind;
    if (!outcome || outcome->status != 200) return {};
    Result<S3ListPage> page = ParseS3ListPage(outcome->body);
    if (!page) {
      return {
          .kind = kFail,
          .error = {Errc::kInvalid, fmt::format("{}: the endpoint {} does not answer like S3: {}",
                                                Describe(), endpoint_, page.error().what)}};
    }
    if (page->objects.empty() && page->prefixes.empty() && !uri_.prefix.empty()) {
      return {.kind = kFail,
              .error = {Errc::kNotFound, fmt::format("no keys below s3://{}/{}", uri_.bucket,
                                                     Printable(uri_.prefix))}};
    }
    return {.kind = kSuccess};
  }
  void Finish(Result<void> result) override { std::exchange(done_, nullptr)(std::move(result)); }

 private:
  const S3Uri uri_;
  const std::string endpoint_;
  Done<void> done_;
};

S3Client::Options ClientOptions(const S3Origin::Options& options, S3Endpoint endpoint) {
  return {.bucket = options.uri.bucket,
          .endpoint = std::move(endpoint),
          .region = options.region.empty() ? "us-east-1" : options.region,
          .credentials = options.credentials,
          .ca_bundle = options.ca_bundle,
          .proxy = options.proxy,
          .transport = options.transport,
          .timer = options.timer,
          .budget = options.budget,
          .random = options.random,
          .wall_clock = options.wall_clock,
          .connect_timeout = options.connect_timeout,
          .stall_timeout = options.stall_timeout};
}

}  // namespace

Result<std::shared_ptr<S3Origin>> S3Origin::Create(Options options) {
  Result<S3Endpoint> endpoint =
      S3Endpoint::Make(options.endpoint, options.uri.bucket, options.addressing);
  if (!endpoint) return std::unexpected(std::move(endpoint.error()));
  return std::shared_ptr<S3Origin>(new S3Origin(std::move(options), std::move(*endpoint)));
}

S3Origin::S3Origin(Options options, S3Endpoint endpoint)
    : options_(std::move(options)),
      source_(fmt::format("s3://{}@{}", options_.uri.bucket, endpoint.Canonical())),
      domain_(DomainOf(endpoint.Canonical(), options_.credentials->Principal())),
      client_(std::make_shared<S3Client>(ClientOptions(options_, std::move(endpoint)))) {}

S3Origin::~S3Origin() { client_->Stop(); }

void S3Origin::List(std::string directory, Done<Listing> done) {
  client_->Run(std::make_shared<S3Lister>(options_.uri.bucket, options_.uri.prefix + directory,
                                          std::move(done)),
               options_.list_retry);
}

ObjectId S3Origin::Pin(std::string_view directory, const Entry& entry) const {
  return {.domain = domain_,
          .source = source_,
          .key = fmt::format("{}{}{}", options_.uri.prefix, directory, entry.name),
          .tag = entry.tag,
          .size_bytes = entry.size_bytes};
}

void S3Origin::Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
                    Done<void> done) {
  client_->Run(
      std::make_shared<S3Reader>(object, range, versions_, std::move(sink), std::move(done)),
      options_.read_retry);
}

void S3Origin::Checksums(const ObjectId& object, Done<PublishedChecksums> done) {
  client_->Run(std::make_shared<S3ChecksumQuery>(object, versions_, std::move(done)),
               options_.list_retry);
}

void S3Origin::Probe(std::chrono::milliseconds deadline, Done<void> done) {
  RetryOptions quick = options_.list_retry;
  quick.max_attempts = 4;
  quick.patience = {};
  quick.deadline = options_.timer->Now() + deadline;
  std::string endpoint = source_.substr(source_.find('@') + 1);  // No bucket's name has one.
  client_->Run(std::make_shared<S3Probe>(options_.uri, std::move(endpoint), std::move(done)),
               quick);
}

}  // namespace modelfs::fetch
