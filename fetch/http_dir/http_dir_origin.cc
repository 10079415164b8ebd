#include "fetch/http_dir/http_dir_origin.h"

#include <fmt/format.h>

#include "fetch/domain.h"
#include "fetch/http_dir/http_lister.h"
#include "fetch/http_dir/http_reader.h"

namespace modelfs::fetch {
namespace {

HttpClient::Options ClientOptions(const HttpDirOrigin::Options& options,
                                  std::shared_ptr<HttpAuth> auth) {
  return {.url = options.url,
          .auth = std::move(auth),
          .ca_bundle = options.ca_bundle,
          .proxy = options.proxy,
          .transport = options.transport,
          .timer = options.timer,
          .budget = options.budget,
          .random = options.random};
}

}  // namespace

HttpDirOrigin::HttpDirOrigin(Options options)
    : options_(std::move(options)),
      auth_(std::make_shared<HttpAuth>(options_.auth)),
      domain_(DomainOf(fmt::format("{}://{}", options_.url.scheme, options_.url.authority),
                       auth_->Principal())),
      client_(std::make_shared<HttpClient>(ClientOptions(options_, auth_))) {}

HttpDirOrigin::~HttpDirOrigin() { client_->Stop(); }

void HttpDirOrigin::List(std::string directory, Done<Listing> done) {
  auto listed = [client = client_, directory, unranged = unranged_, retry = options_.list_retry,
                 done = std::move(done)](Result<HttpListing> listing) mutable {
    if (!listing) return done(std::unexpected(std::move(listing.error())));
    CompleteListing(std::move(client), directory, *std::move(listing), std::move(unranged), retry,
                    std::move(done));
  };
  client_->Run(std::make_shared<HttpLister>(client_, directory, std::move(listed)),
               options_.list_retry);
}

ObjectId HttpDirOrigin::Pin(std::string_view directory, const Entry& entry) const {
  std::string source = options_.url.ToString();
  source.pop_back();  // ObjectId::Describe puts the slash between.
  return {.domain = domain_,
          .source = std::move(source),
          .key = fmt::format("{}{}", directory, entry.name),
          .tag = entry.tag,
          .size_bytes = entry.size_bytes};
}

Delivery HttpDirOrigin::DeliveryOf(const ObjectId& object) const {
  return unranged_->Has(object.key) ? Delivery::kStream : Delivery::kRanges;
}

void HttpDirOrigin::Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
                         Done<void> done) {
  client_->Run(std::make_shared<HttpReader>(client_, object, range, unranged_, std::move(sink),
                                            std::move(done)),
               options_.read_retry);
}

void HttpDirOrigin::Probe(std::chrono::milliseconds deadline, Done<void> done) {
  RetryOptions quick = options_.list_retry;
  quick.max_attempts = 4;
  quick.patience = {};
  quick.deadline = options_.timer->Now() + deadline;
  auto listed = [done = std::move(done)](Result<HttpListing> listing) mutable {
    if (!listing) return done(std::unexpected(std::move(listing.error())));
    done({});
  };
  client_->Run(std::make_shared<HttpLister>(client_, "", std::move(listed)), quick);
}

}  // namespace modelfs::fetch
