#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fs/daemon/job_state.h"
#include "fs/tree/tree.h"
#include "index/cache.h"

namespace modelfs::fs {

/// What a job works on: a file, or everything below a directory.
struct JobTarget {
  std::shared_ptr<Tree> tree;
  std::string path;  ///< Relative to the mount, "" for all of it.
};

/// The long tasks that were asked for over the control socket.
///
/// Threads: all methods from any. Each running job has a thread `job-N`, which waits for
/// completions; at most kMaxRunning run at a time.
class Jobs {
 public:
  static constexpr std::size_t kMaxRunning = 8;
  static constexpr std::size_t kKept = 32;  ///< Jobs that ended, to be asked about.

  explicit Jobs(std::shared_ptr<index::Cache> cache) : cache_(std::move(cache)) {}
  ~Jobs() { Stop(); }

  /// Begins what `kind` says. kWarm downloads several files at a time and verifies what the origin
  /// publishes no checksum for; kVerify without targets checks the whole cache.
  /// Errors: kTransient (too many jobs), kCancelled (ending).
  Result<std::uint64_t> Start(JobKind kind, std::vector<JobTarget> targets) EXCLUDES(mutex_);

  /// Errors: kNotFound.
  Result<nlohmann::json> Describe(std::uint64_t id) const EXCLUDES(mutex_);
  nlohmann::json DescribeAll() const EXCLUDES(mutex_);
  /// What a job that is done has made: of kExportProfiles, an index::ProfileFile.
  /// Errors: kNotFound.
  Result<std::string> Output(std::uint64_t id) const EXCLUDES(mutex_);
  std::size_t Running() const EXCLUDES(mutex_);

  /// Cancels what runs and waits for its threads, which wait for nothing else. Idempotent.
  void Stop() EXCLUDES(mutex_);

 private:
  struct Job {
    std::shared_ptr<JobState> state;
    std::jthread thread;
  };
  void ForgetOld() REQUIRES(mutex_);
  Result<std::shared_ptr<JobState>> Find(std::uint64_t id) const EXCLUDES(mutex_);

  const std::shared_ptr<index::Cache> cache_;
  mutable Mutex mutex_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::uint64_t next_id_ GUARDED_BY(mutex_) = 1;
  std::map<std::uint64_t, Job> jobs_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
