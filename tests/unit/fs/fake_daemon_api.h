#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "fs/control/daemon_api.h"

namespace modelfs::test {

/// A daemon with the mounts that a test gives it. Jobs go through the states that it is told, one
/// per question, and stay in the last. Threads: any.
class FakeDaemonApi : public fs::DaemonApi {
 public:
  explicit FakeDaemonApi(std::vector<std::string> mountpoints = {}) {
    for (auto& mountpoint : mountpoints) mounts_.push_back(std::move(mountpoint));
  }

  /// What the job after next ... gets as its states, in the order of jobs started.
  void PlanJob(std::vector<nlohmann::json> states) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    plans_.emplace_back(states.begin(), states.end());
  }
  void FailNext(Error error) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    failure_ = std::move(error);
  }
  std::vector<fs::MountSpec> added() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return added_;
  }
  /// "warm /m/a /m/b", one line per job.
  std::vector<std::string> started() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return started_;
  }

  nlohmann::json Status() override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    nlohmann::json mounts = nlohmann::json::array();
    for (const auto& mountpoint : mounts_) {
      mounts.push_back({{"mountpoint", mountpoint},
                        {"allow_other", false},
                        {"parked_requests", 2},
                        {"sources",
                         {{{"name", "models"},
                           {"uri", "s3://models/prod"},
                           {"files", 31},
                           {"total_bytes", 1'468'006'400},
                           {"cached_bytes", 734'003'200}},
                          {{"name", "new"},
                           {"uri", "s3://new"},
                           {"files", nullptr},
                           {"total_bytes", nullptr},
                           {"cached_bytes", 0}}}}});
    }
    return {{"version", "0.1.0"},
            {"pid", 4242},
            {"supervisor_pid", 4241},
            {"uptime_seconds", 318.2},
            {"healthy", true},
            {"problem", ""},
            {"cache",
             {{"directory", "/var/cache/modelfs"},
              {"io_backend", "threads"},
              {"objects", 12},
              {"cached_bytes", 734'003'200},
              {"filesystem_free_bytes", 64'424'509'440},
              {"fetched_bytes", 734'003'200},
              {"fetch_requests", 112},
              {"fetches_in_flight", 4},
              {"fetch_bytes_per_second", 88'080'384.0},
              {"quarantined_chunks", 0},
              {"uncached_writes", 0}}},
            {"mounts", mounts},
            {"jobs", nlohmann::json::array()}};
  }

  Result<void> AddMount(const fs::MountSpec& spec) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (failure_) return std::unexpected(*std::exchange(failure_, std::nullopt));
    added_.push_back(spec);
    return {};
  }
  Result<void> Upgrade(const std::string& program) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (failure_) return std::unexpected(*std::exchange(failure_, std::nullopt));
    started_.push_back("upgrade " + program);
    return {};
  }
  Result<std::uint64_t> StartJob(fs::JobKind kind, const std::vector<std::string>& paths) override {
    return Start(std::string(fs::ToString(kind)), paths);
  }
  Result<nlohmann::json> Job(std::uint64_t id) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const auto job = jobs_.find(id);
    if (job == jobs_.end()) return Fail(Errc::kNotFound, "no job " + std::to_string(id));
    auto& states = job->second;
    nlohmann::json state = states.front();
    if (states.size() > 1) states.pop_front();
    return state;
  }
  Result<std::string> JobOutput(std::uint64_t id) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (!jobs_.contains(id)) return Fail(Errc::kNotFound, "no job " + std::to_string(id));
    return output;
  }
  Result<std::size_t> ImportProfiles(const std::string& file) override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (failure_) return std::unexpected(*std::exchange(failure_, std::nullopt));
    started_.push_back("import " + std::to_string(file.size()));
    return std::size_t{1};
  }

  std::string output;  ///< Of every job.

 private:
  Result<std::uint64_t> Start(const std::string& kind, const std::vector<std::string>& paths)
      EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (failure_) return std::unexpected(*std::exchange(failure_, std::nullopt));
    std::string line = kind;
    for (const auto& path : paths) line += " " + path;
    started_.push_back(line);
    const std::uint64_t id = started_.size();
    if (plans_.empty()) {
      jobs_[id] = {{{"id", id}, {"kind", kind}, {"state", "done"}}};
    } else {
      jobs_[id] = std::move(plans_.front());
      plans_.pop_front();
    }
    return id;
  }

  mutable Mutex mutex_;
  std::vector<std::string> mounts_;
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  std::vector<fs::MountSpec> added_ GUARDED_BY(mutex_);
  std::vector<std::string> started_ GUARDED_BY(mutex_);
  std::deque<std::deque<nlohmann::json>> plans_ GUARDED_BY(mutex_);
  std::map<std::uint64_t, std::deque<nlohmann::json>> jobs_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::test
