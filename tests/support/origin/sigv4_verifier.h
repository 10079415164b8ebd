#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "tests/support/origin/s3_message.h"

namespace modelfs::test {

/// Checks AWS Signature Version 4 as S3 does: in the Authorization header, or in the query of a
/// presigned URL. Written from the canonical rules alone and sharing no code with the signer under
/// test, so that it catches that one's mistakes.
///
/// Threads: any; immutable.
/// Source: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
class SigV4Verifier {
 public:
  struct Options {
    std::string access_key;
    std::string secret_key;
    std::string session_token;  ///< When set, requests must carry exactly this one.
    std::string region = "us-east-1";
  };

  explicit SigV4Verifier(Options options) : options_(std::move(options)) {}

  /// None when `request`, received at `now`, is signed by the owner of the keys.
  std::optional<S3Error> Check(const S3Request& request,
                               std::chrono::system_clock::time_point now) const;

  /// The hex signature that `request` should carry for what it claims: for tests.
  std::string Expected(const S3Request& request) const;

 private:
  struct Claim;
  static std::optional<S3Error> ParseHeader(const S3Request& request, Claim& claim);
  static std::optional<S3Error> ParseQuery(const S3Request& request, Claim& claim);
  static std::optional<S3Error> Parse(const S3Request& request, Claim& claim);
  std::optional<S3Error> CheckClaim(const S3Request& request, const Claim& claim,
                                    std::chrono::system_clock::time_point now) const;
  static std::optional<S3Error> CheckHeaders(const S3Request& request, const Claim& claim);
  std::string Signature(const S3Request& request, const Claim& claim) const;

  Options options_;
};

}  // namespace modelfs::test
