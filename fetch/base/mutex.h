#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// Clang's thread-safety annotations; nothing under other compilers.
// Source: clang.llvm.org/docs/ThreadSafetyAnalysis.html
#if defined(__clang__)
#define MODELFS_TSA(x) __attribute__((x))
#else
#define MODELFS_TSA(x)
#endif
#define GUARDED_BY(x) MODELFS_TSA(guarded_by(x))
#define PT_GUARDED_BY(x) MODELFS_TSA(pt_guarded_by(x))
#define REQUIRES(...) MODELFS_TSA(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) MODELFS_TSA(locks_excluded(__VA_ARGS__))
#define ACQUIRED_BEFORE(...) MODELFS_TSA(acquired_before(__VA_ARGS__))
#define ACQUIRED_AFTER(...) MODELFS_TSA(acquired_after(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS MODELFS_TSA(no_thread_safety_analysis)

namespace modelfs {

/// std::mutex that the analysis understands.
class MODELFS_TSA(capability("mutex")) Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  void Lock() MODELFS_TSA(acquire_capability()) { mutex_.lock(); }
  void Unlock() MODELFS_TSA(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Holds a Mutex for a scope; may be released early and taken again.
class MODELFS_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& m) MODELFS_TSA(acquire_capability(m)) : mutex_(m) { mutex_.Lock(); }
  ~MutexLock() MODELFS_TSA(release_capability()) {
    if (held_) mutex_.Unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  void Unlock() MODELFS_TSA(release_capability()) {
    held_ = false;
    mutex_.Unlock();
  }
  void Lock() MODELFS_TSA(acquire_capability()) {
    mutex_.Lock();
    held_ = true;
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

/// Condition variable on a Mutex. Wakes spuriously: wait in a loop on the condition.
class CondVar {
 public:
  void Wait(Mutex& m) MODELFS_TSA(requires_capability(m)) {
    std::unique_lock lock(m.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  /// False when `deadline` passed.
  bool WaitUntil(Mutex& m, std::chrono::steady_clock::time_point deadline)
      MODELFS_TSA(requires_capability(m)) {
    std::unique_lock lock(m.mutex_, std::adopt_lock);
    const bool woken = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return woken;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace modelfs
