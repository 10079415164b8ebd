#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "fetch/base/fault_points.h"
#include "fetch/base/mutex.h"

namespace modelfs::fs {

/// The fault points of a Device, named by what the kernel asked for: `session.read` when the
/// request was taken, `session.read.reply` before its answer is written, `session.read.replied`
/// after; also `lookup`, `getattr`, `open`, `readdir` (with attributes or not), `release` and
/// `other`.
///
/// Threads: any.
class DeviceFaults {
 public:
  /// `points` is borrowed.
  explicit DeviceFaults(FaultPoints& points) : points_(points) {}

  void Taken(std::span<const std::byte> request) EXCLUDES(mutex_);
  /// `head`: the first part of an answer. Returns what Answered wants to know.
  std::string Answering(const iovec& head) EXCLUDES(mutex_);
  void Answered(const std::string& answer);

 private:
  FaultPoints& points_;
  Mutex mutex_;
  std::unordered_map<std::uint64_t, std::uint32_t> asked_ GUARDED_BY(mutex_);  ///< Opcodes.
};

}  // namespace modelfs::fs
