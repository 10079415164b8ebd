#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/s3/credentials.h"

namespace modelfs::fetch {

using NameValues = std::vector<std::pair<std::string, std::string>>;

/// SHA-256 of nothing: the payload hash of a request without a body.
inline constexpr std::string_view kEmptyPayloadSha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A request as AWS Signature Version 4 sees it, with the rules of S3: the path is encoded once and
/// not normalised.
///
/// Source: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
struct SigV4Request {
  std::string method = "GET";
  std::string path;    ///< Encoded, as it stands in the URL: PercentEncode(.., Slash::kKeep).
  NameValues query;    ///< Raw names and values, any order; see CanonicalQuery.
  NameValues headers;  ///< Lower-case names; all of them are signed. Must hold "host".
  std::string payload_sha256{kEmptyPayloadSha256};
};

struct SigV4Scope {
  std::string region;
  std::string service = "s3";
  std::chrono::system_clock::time_point time;
};

/// Encoded and sorted, "a=1&b=": to be signed and to stand in the URL, exactly so.
std::string CanonicalQuery(const NameValues& query);

/// What a request needs besides its own headers: x-amz-date, x-amz-content-sha256,
/// x-amz-security-token where there is a token, and authorization. Pure.
NameValues SignHeaders(const SigV4Request& request, const Credentials& credentials,
                       const SigV4Scope& scope);

/// The query of a presigned URL (canonical, signature last), valid for `expires`. Signs the headers
/// of `request` (at least "host") and no payload. Pure.
std::string PresignQuery(const SigV4Request& request, const Credentials& credentials,
                         const SigV4Scope& scope, std::chrono::seconds expires);

}  // namespace modelfs::fetch
