#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fs/daemon/job_kind.h"
#include "index/cache.h"

namespace modelfs::fs {

/// What is known of one job, shared by whoever runs it, whoever asks, and the completions that it
/// waits for, which may come after it was given up.
/// Threads: any; Await on the job's own.
class JobState {
 public:
  /// Something that the job had started has ended.
  struct Event {
    std::size_t number = 0;
    Result<void> result;
  };

  JobState(std::uint64_t id, JobKind kind) : id_(id), kind_(kind) {}

  void Post(Event event);
  /// The next event; nullopt once the job is cancelled.
  std::optional<Event> Await();
  void Cancel();
  bool cancelled() const;

  void SetTotals(std::uint64_t files, std::uint64_t bytes);
  /// File `number` is being downloaded: its cached bytes count as they come.
  void FileStarted(std::size_t number, std::shared_ptr<index::CachedObject> object);
  void FileEnded(std::size_t number, std::uint64_t size_bytes);
  void SetBytesDone(std::uint64_t bytes);
  void SetFilesDone(std::uint64_t files);
  void SetReport(nlohmann::json report);
  void SetOutput(std::string output);
  std::string Output() const;
  /// Ends the job.
  void Finish(const Result<void>& result);
  bool running() const;

  /// The object of fs/control/README.md, "Jobs".
  nlohmann::json Describe() const;

 private:
  enum class Outcome : std::uint8_t {
    kRunning,
    kDone,
    kFailed,
  };
  const std::uint64_t id_;
  const JobKind kind_;
  mutable Mutex mutex_;
  CondVar posted_;
  std::deque<Event> events_ GUARDED_BY(mutex_);
  bool cancelled_ GUARDED_BY(mutex_) = false;
  Outcome outcome_ GUARDED_BY(mutex_) = Outcome::kRunning;
  std::uint64_t bytes_done_ GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_total_ GUARDED_BY(mutex_) = 0;
  std::uint64_t files_done_ GUARDED_BY(mutex_) = 0;
  std::uint64_t files_total_ GUARDED_BY(mutex_) = 0;
  std::string error_ GUARDED_BY(mutex_);
  nlohmann::json report_ GUARDED_BY(mutex_);
  std::string output_ GUARDED_BY(mutex_);
  std::map<std::size_t, std::shared_ptr<index::CachedObject>> current_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
