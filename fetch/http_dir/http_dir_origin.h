#pragma once

#include <memory>
#include <string>

#include "fetch/http_dir/http_client.h"
#include "fetch/http_dir/unranged_objects.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// The files below one directory of a web server that lists its directories, or has an index.json
/// in each. Pinned by ETag, else by Last-Modified.
///
/// Threads: completions run on the http threads, or on `tick` after a wait between attempts.
/// Lifetime: what is borrowed outlives it and whatever it has in flight.
class HttpDirOrigin final : public Origin {
 public:
  struct Options {
    HttpUrl url;
    HttpAuth::Options auth;
    std::string ca_bundle;  ///< PEM file; empty: the transport's default.
    ProxySettings proxy;
    HttpTransport* transport = nullptr;   ///< Borrowed.
    Timer* timer = nullptr;               ///< Borrowed.
    std::shared_ptr<RetryBudget> budget;  ///< Of the server.
    Random random;
    RetryOptions list_retry{.patience = std::chrono::seconds(15)};
    RetryOptions read_retry{.patience = std::chrono::seconds(60)};
  };
  explicit HttpDirOrigin(Options options);
  ~HttpDirOrigin() override;

  std::string Describe() const override { return options_.url.ToString(); }
  void List(std::string directory, Done<Listing> done) override;
  ObjectId Pin(std::string_view directory, const Entry& entry) const override;
  Delivery DeliveryOf(const ObjectId& object) const override;
  void Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
            Done<void> done) override;
  void Probe(std::chrono::milliseconds deadline, Done<void> done) override;

 private:
  const Options options_;
  const std::shared_ptr<HttpAuth> auth_;
  const std::string domain_;
  const std::shared_ptr<HttpClient> client_;
  const std::shared_ptr<UnrangedObjects> unranged_ = std::make_shared<UnrangedObjects>();
};

}  // namespace modelfs::fetch
