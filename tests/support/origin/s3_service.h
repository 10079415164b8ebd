#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/origin/object_store.h"
#include "tests/support/origin/s3_message.h"
#include "tests/support/origin/sigv4_verifier.h"

namespace modelfs::test {

/// S3's answers: a subset of its API over an ObjectStore. Knows nothing of sockets, links and
/// faults. GET (ranges, If-Match, If-None-Match), HEAD, PUT and DELETE of objects; ListObjects in
/// both versions; buckets: list, head, location, make. Checksums that the store publishes: in HEAD
/// where asked for, and those of parts by GetObjectAttributes.
///
/// Threads: any.
class S3Service {
 public:
  struct Options {
    std::string region = "us-east-1";
    /// "s3.test": a request to bucket.s3.test is virtual-hosted. Empty: path style alone.
    std::string virtual_domain;
    /// With encoding-type=url a space is `+`, as AWS writes it; else `%20`.
    bool plus_for_space = true;
    /// Most items of a listing page.
    std::size_t page_items = 1000;
  };

  /// `store` is borrowed; `verifier` may be null: then everybody is let in.
  S3Service(ObjectStore* store, const SigV4Verifier* verifier, Options options)
      : store_(store), verifier_(verifier), options_(std::move(options)) {}

  S3Reply Handle(const S3Request& request) const;

  /// Bucket and key that `request` names; the key is decoded.
  std::pair<std::string, std::string> Locate(const S3Request& request) const;

 private:
  S3Reply HandleBucket(const S3Request& request, const std::string& bucket) const;
  S3Reply HandleObject(const S3Request& request, const std::string& bucket,
                       const std::string& key) const;
  S3Reply Get(const S3Request& request, const std::string& bucket, const std::string& key) const;
  S3Reply Attributes(const S3Request& request, const std::string& bucket,
                     const std::string& key) const;
  S3Reply PutObject(const S3Request& request, const std::string& bucket,
                    const std::string& key) const;
  S3Reply List(const S3Request& request, const std::string& bucket) const;
  S3Reply ListBuckets() const;

  ObjectStore* const store_;
  const SigV4Verifier* const verifier_;
  const Options options_;
};

/// "Tue, 24 Nov 2026 20:32:00 GMT"
std::string HttpDate(std::chrono::system_clock::time_point time);

}  // namespace modelfs::test
