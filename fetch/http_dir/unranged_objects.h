#pragma once

#include <string>
#include <unordered_set>

#include "fetch/base/mutex.h"

namespace modelfs::fetch {

/// The keys of which a server has shown that it gives them only as a whole. Threads: any.
class UnrangedObjects {
 public:
  void Add(const std::string& key) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (keys_.size() >= kMost) all_ = true;
    if (!all_) keys_.insert(key);
  }
  bool Has(const std::string& key) const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return all_ || keys_.contains(key);
  }

 private:
  static constexpr std::size_t kMost = 50'000;  // Then it is taken to be so of all.
  mutable Mutex mutex_;
  std::unordered_set<std::string> keys_ GUARDED_BY(mutex_);
  bool all_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::fetch
