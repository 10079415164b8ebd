#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "fetch/base/mutex.h"

namespace modelfs::fs {

/// How often each method was called, how it ended and how long that took, for /metrics.
///
/// Threads: any.
class CallLog {
 public:
  struct Calls {
    std::uint64_t count = 0;
    std::chrono::duration<double> time{0};
  };
  /// By method and the name of its status, "OK", "NOT_FOUND".
  using Table = std::map<std::pair<std::string, std::string>, Calls>;

  void Ended(const std::string& method, const std::string& status,
             std::chrono::duration<double> time) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    Calls& calls = table_[{method, status}];
    ++calls.count;
    calls.time += time;
  }
  Table table() const EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return table_;
  }

 private:
  mutable Mutex mutex_;
  Table table_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
