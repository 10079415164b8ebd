#pragma once

#include <memory>
#include <string>

#include "fetch/origin.h"
#include "fetch/s3/s3_client.h"
#include "fetch/s3/s3_uri.h"
#include "fetch/s3/s3_versions.h"

namespace modelfs::fetch {

/// The objects below one prefix of an S3 bucket. A "directory" is a common prefix.
///
/// Threads: completions run on the http threads, or on `tick` after a wait between attempts.
/// Lifetime: transport, timer and what else is borrowed outlive it and whatever it has in flight.
class S3Origin final : public Origin {
 public:
  struct Options {
    S3Uri uri;
    std::string endpoint;              ///< "https://minio:9000"; empty: AWS's own for the region.
    std::string region = "us-east-1";  ///< Where the server names another, that one is used.
    S3Addressing addressing = S3Addressing::kAuto;
    std::shared_ptr<CredentialsProvider> credentials;  ///< Its own: it is stopped with the origin.
    ProxySettings proxy;
    std::string ca_bundle;                ///< PEM file; empty: the transport's default.
    HttpTransport* transport = nullptr;   ///< Borrowed.
    Timer* timer = nullptr;               ///< Borrowed.
    std::shared_ptr<RetryBudget> budget;  ///< Of the endpoint.
    Random random;
    std::function<std::chrono::system_clock::time_point()> wall_clock = [] {
      return std::chrono::system_clock::now();
    };
    RetryOptions list_retry{.patience = std::chrono::seconds(15)};
    RetryOptions read_retry{.patience = std::chrono::seconds(60)};
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::seconds stall_timeout{
        15};  ///< With less than 1 KiB/s for so long an attempt fails.
  };
  /// Errors: kInvalid (endpoint).
  static Result<std::shared_ptr<S3Origin>> Create(Options options);
  ~S3Origin() override;

  std::string Describe() const override { return options_.uri.ToString(); }
  void List(std::string directory, Done<Listing> done) override;
  ObjectId Pin(std::string_view directory, const Entry& entry) const override;
  void Read(const ObjectId& object, ByteRange range, std::shared_ptr<BodySink> sink,
            Done<void> done) override;
  /// See S3ChecksumQuery: one request, or as many more as the object has thousands of parts.
  void Checksums(const ObjectId& object, Done<PublishedChecksums> done) override;
  void Probe(std::chrono::milliseconds deadline, Done<void> done) override;

 private:
  S3Origin(Options options, S3Endpoint endpoint);

  const Options options_;
  const std::string source_;  // ObjectId::source
  const std::string domain_;  // ObjectId::domain
  const std::shared_ptr<S3Client> client_;
  const std::shared_ptr<S3Versions> versions_ = std::make_shared<S3Versions>();
};

}  // namespace modelfs::fetch
