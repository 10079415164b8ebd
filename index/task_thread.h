#pragma once

#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "fetch/base/mutex.h"

namespace modelfs::index {

/// One named thread that runs tasks in the order in which they were posted.
///
/// Threads: any, also from a task. Stop is called once, by the owner, from another thread.
class TaskThread {
 public:
  using Task = std::move_only_function<void()>;

  explicit TaskThread(const std::string& name);
  ~TaskThread();

  /// False after Stop; the task is dropped then.
  bool Post(Task task);
  /// Runs what is queued, and what that posts, then joins.
  void Stop();

 private:
  void Run();

  Mutex mutex_;
  CondVar wake_;
  std::deque<Task> tasks_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace modelfs::index
