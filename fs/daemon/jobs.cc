#include "fs/daemon/jobs.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fetch/base/thread.h"
#include "fs/daemon/job_bodies.h"

namespace modelfs::fs {

namespace {

Result<void> RunJob(JobKind kind, const std::shared_ptr<JobState>& state,
                    const std::shared_ptr<index::Cache>& cache,
                    const std::vector<JobTarget>& targets) {
  switch (kind) {
    case JobKind::kWarm: return RunWarm(state, cache, targets);
    case JobKind::kVerify: return RunVerify(state, cache, targets);
    case JobKind::kRepair: return RunRepair(state, cache, targets);
    case JobKind::kPin: return RunPin(state, cache, targets);
    case JobKind::kUnpin: return RunUnpin(state, cache, targets);
    case JobKind::kEvict: return RunEvict(state, cache, targets);
    case JobKind::kExportProfiles: return RunExportProfiles(state, cache, targets);
  }
  return Fail(Errc::kInvalid, "no such job");
}

}  // namespace

Result<std::uint64_t> Jobs::Start(JobKind kind, std::vector<JobTarget> targets) {
  MutexLock lock(mutex_);
  if (stopping_) return Fail(Errc::kCancelled, "the daemon is ending");
  ForgetOld();
  const auto running =
      std::ranges::count_if(jobs_, [](const auto& entry) { return entry.second.state->running(); });
  if (static_cast<std::size_t>(running) >= kMaxRunning) {
    return Fail(Errc::kTransient, fmt::format("{} jobs are running: try again later", running));
  }
  const std::uint64_t id = next_id_++;
  auto state = std::make_shared<JobState>(id, kind);
  auto thread = StartThread(fmt::format("job-{}", id),
                            [state, kind, cache = cache_, on = std::move(targets)]() {
                              const auto result = RunJob(kind, state, cache, on);
                              if (!result && result.error().code != Errc::kCancelled) {
                                spdlog::warn("job.failed job={} error=\"{}\"",
                                             state->Describe()["id"].dump(), result.error().what);
                              }
                              state->Finish(result);
                            });
  jobs_.emplace(id, Job{.state = std::move(state), .thread = std::move(thread)});
  return id;
}

/// Joins no thread that still has something to do: only jobs that have ended are forgotten.
void Jobs::ForgetOld() {
  for (auto job = jobs_.begin(); jobs_.size() >= kKept && job != jobs_.end();) {
    job = job->second.state->running() ? std::next(job) : jobs_.erase(job);
  }
}

Result<std::shared_ptr<JobState>> Jobs::Find(std::uint64_t id) const {
  const MutexLock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return Fail(Errc::kNotFound, fmt::format("no job {}", id));
  return found->second.state;
}

Result<nlohmann::json> Jobs::Describe(std::uint64_t id) const {
  const auto state = Find(id);
  if (!state) return std::unexpected(state.error());
  return (*state)->Describe();
}

Result<std::string> Jobs::Output(std::uint64_t id) const {
  const auto state = Find(id);
  if (!state) return std::unexpected(state.error());
  return (*state)->Output();
}

nlohmann::json Jobs::DescribeAll() const {
  std::vector<std::shared_ptr<JobState>> states;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, job] : jobs_) states.push_back(job.state);
  }
  auto all = nlohmann::json::array();
  for (const auto& state : states) all.push_back(state->Describe());
  return all;
}

std::size_t Jobs::Running() const {
  MutexLock lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(
      jobs_, [](const auto& entry) { return entry.second.state->running(); }));
}

void Jobs::Stop() {
  std::map<std::uint64_t, Job> ending;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    ending.swap(jobs_);
  }
  for (auto& [id, job] : ending) job.state->Cancel();
}

}  // namespace modelfs::fs
