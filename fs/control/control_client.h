#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/daemon/job_kind.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// Asks the daemon behind a control socket; the other end of ControlServer.
///
/// Threads: one at a time; calls wait, at most for the timeouts of Options.
/// Errors of all calls: kNotFound (nobody listens there), kTimeout, kIo (no answer of ours), else
/// what the daemon answered.
class ControlClient {
 public:
  struct Options {
    std::chrono::milliseconds timeout{10'000};        ///< Of every call but AddMount.
    std::chrono::milliseconds mount_timeout{60'000};  ///< The daemon asks the origin meanwhile.
  };
  explicit ControlClient(std::string socket_path);
  ControlClient(std::string socket_path, Options options);

  const std::string& socket_path() const { return socket_path_; }

  /// The object of README.md, "Status".
  Result<nlohmann::json> Status();
  Result<void> AddMount(const MountSpec& spec);
  /// Returns when the daemon's worker makes room for that of `program`.
  Result<void> Upgrade(const std::string& program);
  /// The number of the job that was started.
  Result<std::uint64_t> StartJob(JobKind kind, const std::vector<std::string>& paths);
  /// The object of README.md, "Jobs".
  Result<nlohmann::json> Job(std::uint64_t id);
  /// What a job has made.
  Result<std::string> JobOutput(std::uint64_t id);
  /// Returns how many profiles `file` had. Requires: base64 makes it no longer than
  /// kMaxControlBody; kMostProfileBytes are safe.
  Result<std::uint64_t> ImportProfiles(const std::string& file);
  static constexpr std::size_t kMostProfileBytes = 3'000'000;

 private:
  Result<nlohmann::json> Call(const char* method, const std::string& path, const std::string& body,
                              std::chrono::milliseconds timeout);

  std::string socket_path_;
  Options options_;
};

}  // namespace modelfs::fs
