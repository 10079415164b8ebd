#pragma once

#include "fetch/base/error.h"
#include "fetch/credentials/credential_settings.h"
#include "fs/config/aws_files.h"
#include "fs/config/environment.h"
#include "fs/config/settings.h"

namespace modelfs::fs {

/// Finds where an S3 source's keys come from, in the order of AWS's own clients: variables, the
/// profile's role, a web identity, the profile's keys and program, the container, the instance. The
/// first that is configured counts, also where it will turn out not to work: falling through would
/// sign as somebody else. Reads AWS's two files; sends nothing.
/// Errors: kDenied (nothing is configured, naming the places; something half configured, or of a
/// kind that this version cannot use), kInvalid.
Result<fetch::CredentialSettings> FindCredentials(const SourceSettings& source,
                                                  const Environment& env, const AwsFiles& files);

}  // namespace modelfs::fs
