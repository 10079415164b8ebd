#pragma once

#include <memory>
#include <vector>

#include "fs/daemon/jobs.h"

namespace modelfs::fs {

// What a job's thread does. All return kCancelled soon after the job was cancelled.

/// Errors: the first file's that failed, saying how many did.
Result<void> RunWarm(const std::shared_ptr<JobState>& state,
                     const std::shared_ptr<index::Cache>& cache,
                     const std::vector<JobTarget>& targets);

/// Damage that was found is in the report, and no error.
Result<void> RunVerify(const std::shared_ptr<JobState>& state,
                       const std::shared_ptr<index::Cache>& cache,
                       const std::vector<JobTarget>& targets);

/// As RunVerify, and what was damaged is fetched again; what could not be stays in the report.
Result<void> RunRepair(const std::shared_ptr<JobState>& state,
                       const std::shared_ptr<index::Cache>& cache,
                       const std::vector<JobTarget>& targets);

// The report is {"objects", "bytes"} of what is cached of them; of an eviction, {"objects",
// "bytes", "in_use", "pinned"}: removed, given back, and left alone.
Result<void> RunPin(const std::shared_ptr<JobState>& state,
                    const std::shared_ptr<index::Cache>& cache,
                    const std::vector<JobTarget>& targets);
Result<void> RunUnpin(const std::shared_ptr<JobState>& state,
                      const std::shared_ptr<index::Cache>& cache,
                      const std::vector<JobTarget>& targets);
Result<void> RunEvict(const std::shared_ptr<JobState>& state,
                      const std::shared_ptr<index::Cache>& cache,
                      const std::vector<JobTarget>& targets);

/// The output is an index::ProfileFile of what is known of their files; the report is {"objects",
/// "profiles"}. Errors: kNotFound, nothing is known; kInvalid, it would be too large.
Result<void> RunExportProfiles(const std::shared_ptr<JobState>& state,
                               const std::shared_ptr<index::Cache>& cache,
                               const std::vector<JobTarget>& targets);

}  // namespace modelfs::fs
