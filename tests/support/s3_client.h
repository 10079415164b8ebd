#pragma once

#include <string>
#include <string_view>

#include "fetch/base/error.h"
#include "fetch/s3/credentials.h"
#include "fetch/s3/sigv4.h"
#include "tests/support/http_call.h"

namespace modelfs::test {

/// A small blocking S3 client, path style: what tests need to fill a server. Signs with the signer
/// of the fetch layer; without keys it sends unsigned requests.
class S3Client {
 public:
  struct Options {
    std::string url;  ///< "http://127.0.0.1:9000"
    fetch::Credentials credentials = {};
    std::string region = "us-east-1";
    std::string ca_pem = {};
  };
  explicit S3Client(Options options) : options_(std::move(options)) {}

  /// Errors of all: kTransient (no answer), kDenied, kNotFound, kInvalid (other status), with the
  /// server's words.
  Result<void> MakeBucket(const std::string& bucket) const;
  Result<void> Put(const std::string& bucket, const std::string& key, std::string bytes) const;
  Result<void> Remove(const std::string& bucket, const std::string& key) const;

  /// What a request has besides its path; all of it signed.
  struct Extra {
    fetch::NameValues query = {};    ///< Raw.
    fetch::NameValues headers = {};  ///< Lower-case names.
  };
  /// Any request: `path` is raw ("/bucket/key") and encoded here.
  Result<HttpCall::Reply> Send(const std::string& method, const std::string& path, std::string body,
                               const Extra& extra = {{}, {}}) const;

 private:
  const Options options_;
};

}  // namespace modelfs::test
