#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"

namespace modelfs::index {

/// Who wants to know when the files of an object are removed.
///
/// Threads: any; listeners run on the thread that removes, with no lock held, once.
class GoneListeners {
 public:
  using Listener = std::move_only_function<void()>;

  void Add(const std::string& digest, Listener listener) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    listeners_[digest].push_back(std::move(listener));
  }
  void Notify(const std::string& digest) EXCLUDES(mutex_) {
    std::vector<Listener> told;
    {
      const MutexLock lock(mutex_);
      const auto found = listeners_.find(digest);
      if (found == listeners_.end()) return;
      told = std::move(found->second);
      listeners_.erase(found);
    }
    for (Listener& listener : told) listener();
  }

 private:
  Mutex mutex_;
  std::unordered_map<std::string, std::vector<Listener>> listeners_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::index
