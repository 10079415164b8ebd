#pragma once

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/mutex.h"

namespace modelfs {

/// A few threads for calls that may block, `<name>-0` .. `<name>-N`.
///
/// Threads: Post from any; tasks run in order of arrival, several at once.
/// The destructor runs what is queued and joins; it must not run on one of the threads.
/// Lock order: `mutex_` is a leaf; no task runs under it.
class WorkerPool {
 public:
  WorkerPool(const std::string& name, int threads);
  ~WorkerPool();
  void Post(std::move_only_function<void()> task) EXCLUDES(mutex_);

 private:
  void Run();

  Mutex mutex_;
  CondVar wake_;
  std::deque<std::move_only_function<void()>> queue_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace modelfs
