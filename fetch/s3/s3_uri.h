#pragma once

#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fetch {

/// Where in S3: "s3://bucket/some/prefix".
struct S3Uri {
  std::string bucket;
  std::string prefix;  ///< Raw key bytes; "" or ending in '/'.

  /// Takes the text as it is: nothing is decoded, a trailing '/' does not matter.
  /// Errors: kInvalid: no "s3://", or a bucket name that no S3 takes.
  static Result<S3Uri> Parse(std::string_view text);
  std::string ToString() const { return "s3://" + bucket + (prefix.empty() ? "" : "/" + prefix); }
};

}  // namespace modelfs::fetch
