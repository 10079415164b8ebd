#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "fetch/base/mutex.h"
#include "index/shared/shared_files.h"

namespace modelfs::index::shared {

/// Who we are to the other replicas, and whether one of them lives: each has one file in `i/`,
/// which it touches while it holds claims. All times are the server's, so that clocks of hosts may
/// differ.
///
/// Threads: any; all methods wait for the server.
class Heartbeat {
 public:
  using Clock = std::chrono::steady_clock;
  /// How often who holds claims touches his file.
  static constexpr std::chrono::seconds kInterval{3};
  /// After so long without a touch nobody waits for him any more.
  static constexpr std::chrono::seconds kSuspect{8};
  /// After so long his claims may be taken over.
  static constexpr std::chrono::seconds kDead{15};
  /// Two touches.
  static constexpr std::chrono::seconds kWatched{6};

  Heartbeat(std::shared_ptr<SharedFiles> files, std::string instance)
      : files_(std::move(files)), instance_(std::move(instance)) {}

  const std::string& instance() const { return instance_; }

  /// Touches our file, unless that was done within `younger`. Errors: as FromErrno.
  Result<void> Beat(std::chrono::milliseconds younger = std::chrono::milliseconds(0))
      EXCLUDES(mutex_);
  /// How long ago `instance` was seen alive; a day where it has no file. A file may not show yet,
  /// and some filesystems take the time from clients (CephFS, SMB), whose clocks differ: nobody
  /// counts as silent for longer than we have watched him, until that was kWatched. Where we cannot
  /// touch our own file, that is all we have. Errors: as FromErrno.
  Result<std::chrono::milliseconds> AgeOf(const std::string& instance) EXCLUDES(mutex_);
  /// How long ago the server's clock showed `time_ns`. Errors: as FromErrno.
  Result<std::chrono::milliseconds> Since(std::int64_t time_ns) EXCLUDES(mutex_);

 private:
  /// What we saw of another.
  struct Seen {
    std::int64_t modified_ns = 0;
    Clock::time_point since;  ///< It has been so.
  };

  const std::shared_ptr<SharedFiles> files_;
  const std::string instance_;
  Mutex mutex_;  ///< Leaf; not held while waiting.
  bool beaten_ GUARDED_BY(mutex_) = false;
  std::int64_t server_ns_ GUARDED_BY(mutex_) = 0;  ///< The server's clock at `here_`.
  Clock::time_point here_ GUARDED_BY(mutex_);
  std::map<std::string, Seen> seen_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::index::shared
