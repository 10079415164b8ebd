#pragma once

#include <chrono>

#include "fs/cli/doctor/finding.h"
#include "fs/config/environment.h"
#include "fs/config/settings.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// Which credentials an s3: source would use, and where they come from; never the secret.
Finding DescribeCredentials(const SourceSpec& source);

/// Whether the origin of `source` answers and lets us in: one request.
Finding CheckOrigin(const SourceSpec& source, std::chrono::milliseconds deadline);

/// For every source of `settings` its configuration, credentials and origin; without any source,
/// the credentials that one would find.
Findings CheckSourceSettings(const Settings& settings, const Environment& env);

}  // namespace modelfs::fs
