#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fs/config/environment.h"
#include "fs/config/settings.h"
#include "fs/spec.h"

namespace modelfs::fs {

struct ResolvedS3 {
  S3Settings s3;
  std::string ca_bundle;  ///< Empty: the system's.
};

/// Finds endpoint, region, credentials and CA of an S3 source where AWS's own clients look: the
/// source's settings, then AWS_* variables, then the profile in ~/.aws; for the endpoint
/// MLFLOW_S3_ENDPOINT_URL comes last. Reads those two files and nothing else; sends nothing.
///
/// A profile that the source names wins over keys in the environment, as in AWS's clients;
/// AWS_PROFILE does not. With `anonymous` no credentials are looked for.
/// Errors: kDenied: no credentials (naming the places), a key without its secret, a kind of
/// credentials that this version cannot use, a profile that is not there. kInvalid: a file or a
/// variable that makes no sense. Others as FromErrno, for files that cannot be read.
/// Source: facts/mlflow-and-s3.md, section 7.
Result<ResolvedS3> ResolveS3(const SourceSettings& source, const Environment& env);

}  // namespace modelfs::fs
