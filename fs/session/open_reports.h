#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "fetch/base/mutex.h"

namespace modelfs::fs {

/// The texts of reports (Node::Kind::kReport) that the kernel has open, by file handle: who reads
/// one piece by piece reads one text.
///
/// Handles count up from the monotonic clock, so that one that a process before this one gave is
/// none of ours.
/// Threads: any.
class OpenReports {
 public:
  using Text = std::shared_ptr<const std::string>;

  /// Keeps a text and returns its handle.
  std::uint64_t Open(std::string text) EXCLUDES(mutex_);
  /// Keeps `text` for a handle that another process gave.
  void Adopt(std::uint64_t handle, std::string text) EXCLUDES(mutex_);
  /// Null: no text is kept for it.
  Text Find(std::uint64_t handle) const EXCLUDES(mutex_);
  void Release(std::uint64_t handle) EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::uint64_t next_ GUARDED_BY(mutex_) =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  std::unordered_map<std::uint64_t, Text> texts_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
