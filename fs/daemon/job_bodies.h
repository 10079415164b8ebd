#pragma once

#include <memory>
#include <vector>

#include "fs/daemon/jobs.h"

namespace modelfs::fs {

// What a job's thread does. Both return kCancelled soon after the job was cancelled.

/// Errors: the first file's that failed, saying how many did.
Result<void> RunWarm(const std::shared_ptr<JobState>& state,
                     const std::shared_ptr<index::Cache>& cache,
                     const std::vector<JobTarget>& targets);

/// Damage that was found is in the report, and no error.
Result<void> RunVerify(const std::shared_ptr<JobState>& state,
                       const std::shared_ptr<index::Cache>& cache,
                       const std::vector<JobTarget>& targets);

}  // namespace modelfs::fs
