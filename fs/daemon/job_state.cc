#include "fs/daemon/job_state.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace modelfs::fs {

void JobState::Post(Event event) {
  MutexLock lock(mutex_);
  events_.push_back(std::move(event));
  posted_.NotifyAll();
}

std::optional<JobState::Event> JobState::Await() {
  MutexLock lock(mutex_);
  while (!cancelled_ && events_.empty()) posted_.Wait(mutex_);
  if (cancelled_) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void JobState::Cancel() {
  MutexLock lock(mutex_);
  cancelled_ = true;
  posted_.NotifyAll();
}

bool JobState::cancelled() const {
  MutexLock lock(mutex_);
  return cancelled_;
}

void JobState::SetTotals(std::uint64_t files, std::uint64_t bytes) {
  MutexLock lock(mutex_);
  files_total_ = files;
  bytes_total_ = bytes;
}

void JobState::FileStarted(std::size_t number, std::shared_ptr<index::CachedObject> object) {
  MutexLock lock(mutex_);
  current_.insert_or_assign(number, std::move(object));
}

void JobState::FileEnded(std::size_t number, std::uint64_t size_bytes) {
  std::shared_ptr<index::CachedObject> object;  // Let go of with no lock held.
  MutexLock lock(mutex_);
  if (const auto found = current_.find(number); found != current_.end()) {
    object = std::move(found->second);
    current_.erase(found);
  }
  bytes_done_ += size_bytes;
  ++files_done_;
}

void JobState::SetBytesDone(std::uint64_t bytes) {
  MutexLock lock(mutex_);
  bytes_done_ = bytes;
}

void JobState::SetFilesDone(std::uint64_t files) {
  MutexLock lock(mutex_);
  files_done_ = files;
}

void JobState::SetReport(nlohmann::json report) {
  MutexLock lock(mutex_);
  report_ = std::move(report);
}

void JobState::SetOutput(std::string output) {
  MutexLock lock(mutex_);
  output_ = std::move(output);
}

std::string JobState::Output() const {
  MutexLock lock(mutex_);
  return output_;
}

void JobState::Finish(const Result<void>& result) {
  std::map<std::size_t, std::shared_ptr<index::CachedObject>> objects;
  MutexLock lock(mutex_);
  outcome_ = result ? Outcome::kDone : Outcome::kFailed;
  error_ = result ? "" : result.error().what;
  objects.swap(current_);
}

bool JobState::running() const {
  MutexLock lock(mutex_);
  return outcome_ == Outcome::kRunning;
}

nlohmann::json JobState::Describe() const {
  std::vector<std::shared_ptr<index::CachedObject>> current;
  nlohmann::json json;
  std::uint64_t bytes = 0;
  {
    MutexLock lock(mutex_);
    for (const auto& [number, object] : current_) current.push_back(object);
    const char* state = outcome_ == Outcome::kRunning ? "running"
                        : outcome_ == Outcome::kDone  ? "done"
                                                      : "failed";
    json = {{"id", id_},
            {"kind", ToString(kind_)},
            {"state", state},
            {"bytes_total", bytes_total_},
            {"files_done", files_done_},
            {"files_total", files_total_},
            {"error", error_},
            {"report", report_}};
    bytes = bytes_done_;
  }
  // The objects have locks of their own.
  for (const auto& object : current) bytes += object->Status().cached_bytes;
  json["bytes_done"] = bytes;
  return json;
}

}  // namespace modelfs::fs
