#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/daemon/job_kind.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// What the control socket can ask of a running daemon. Implemented by the worker (fs/app.cc),
/// called by ControlServer, doubled by a fake in its tests.
/// Threads: called on the control server's threads, which may wait.
class DaemonApi {
 public:
  virtual ~DaemonApi() = default;

  /// The JSON of `modelfs status --json` (see fs/control/README.md for its fields).
  virtual nlohmann::json Status() = 0;

  /// Adds a mount to this daemon; returns when it answers.
  virtual Result<void> AddMount(const MountSpec& spec) = 0;

  /// Hands all mounts over to `program` (absolute path of an executable); returns when its worker
  /// is there and this one retires, so that the next call meets that one.
  /// Errors: kInvalid (it cannot go on from here), kTransient (something else is going on), kIo.
  virtual Result<void> Upgrade(const std::string& program) = 0;

  /// Starts a job and returns its number at once. `paths` are absolute paths below mounts of this
  /// daemon; for kVerify, none means everything in the cache.
  /// Errors: kNotFound, kInvalid (not below one of our mounts), naming the path.
  virtual Result<std::uint64_t> StartJob(JobKind kind, const std::vector<std::string>& paths) = 0;

  /// {"id","kind","state":"running|done|failed","bytes_done","bytes_total","files_done",
  /// "files_total","error","report"}. Errors: kNotFound.
  virtual Result<nlohmann::json> Job(std::uint64_t id) = 0;
  /// What a job has made, any bytes: see JobKind. Errors: kNotFound.
  virtual Result<std::string> JobOutput(std::uint64_t id) = 0;

  /// Keeps access profiles that came as a file (index/profile_file.h), whoever wrote it. Returns
  /// how many. Errors: kInvalid, saying what is wrong with it.
  virtual Result<std::size_t> ImportProfiles(const std::string& file) = 0;
};

}  // namespace modelfs::fs
