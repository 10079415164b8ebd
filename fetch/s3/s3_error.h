#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/error.h"
#include "fetch/http/retry.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// What an S3 error answer says. All fields may be empty: HEAD has no body, proxies send HTML.
struct S3Error {
  std::string code;  ///< "NoSuchKey"
  std::string message;
  std::string request_id;
  std::string region;  ///< The bucket's own, where the answer tells it.
};

/// Reads header fields and the error document, if it is one. Never fails.
S3Error ParseS3Error(const HttpResponse& response);

/// How an answer with a status outside 2xx is taken.
struct S3Failure {
  Errc code;
  std::optional<RetryKind> retry;  ///< Nullopt: trying again will not help.
};
S3Failure ClassifyS3Error(int status, const S3Error& error);

/// Whether the answer means: this bucket lives in another region (then S3Error::region may name
/// it).
bool IsRegionError(int status, const S3Error& error);

/// Whether the answer means: these keys are expired or unknown; others may do.
bool IsKeysError(const S3Error& error);

/// For the texts of errors.
struct S3Context {
  std::string bucket;
  std::string endpoint;   ///< "http://host:9000"
  std::string principal;  ///< Access key id, a role's ARN or the like, or "anonymous".
};

/// "LIST s3://b/p/: HTTP 404 NoSuchBucket: bucket 'b' does not exist at http://host:9000". Names
/// cause and, where there is one, the mend.
std::string DescribeS3Error(std::string_view operation, int status, const S3Error& error,
                            const S3Context& context);

/// How long the answer asks to wait: x-amz-retry-after (ms) or Retry-After (seconds).
std::optional<std::chrono::milliseconds> ServerAsksToWait(const HttpResponse& response);

}  // namespace modelfs::fetch
