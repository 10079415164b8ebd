#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "fetch/base/error.h"
#include "fetch/base/fault_points.h"
#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"

namespace modelfs::fs {

/// What the node ids of one mount mean, kept where a worker's death cannot reach it: in a memfd
/// that the supervisor holds a copy of. A tree appends before it lets the kernel know a node, and a
/// successor replays, so that every number that the kernel holds goes on meaning the same bytes.
///
///     "MFSNODE1" | committed u64 | record | record | ...      record: length u32 | bytes
///
/// Numbers are of this machine: the log never leaves it. `committed` is written last and in one
/// piece; what a kill left behind it does not count and is written over.
/// Threads: any; the mutex is a leaf. One process appends at a time.
class NodeLog {
 public:
  /// Larger than any record that a tree writes; what claims more is damage.
  static constexpr std::size_t kMaxRecordBytes = std::size_t{64} << 20;

  /// A new, empty log. `faults` is borrowed; null: none. Errors: as FromErrno.
  static Result<std::shared_ptr<NodeLog>> Create(FaultPoints* faults = nullptr);
  /// Goes on with the log of a predecessor. Errors: kCorrupt (no such log), as FromErrno.
  static Result<std::shared_ptr<NodeLog>> Adopt(Fd log, FaultPoints* faults = nullptr);

  /// Adds one record; visible to Replay of any process once it returns. When it fails (no memory)
  /// the log is useless from then on: see broken.
  void Append(std::string_view record) EXCLUDES(mutex_);

  /// Calls `visit` with each record in order; stops at the first error that it returns.
  /// Errors: kCorrupt, kIo, those of `visit`.
  Result<void> Replay(const std::function<Result<void>(std::string_view record)>& visit) const
      EXCLUDES(mutex_);

  /// Whether something could not be appended: nobody may take over by this log any more. Written
  /// into the log, too: Adopt refuses it.
  bool broken() const EXCLUDES(mutex_);

  /// A copy of the descriptor, for the supervisor. Errors: as FromErrno.
  Result<Fd> Share() const;

 private:
  NodeLog(Fd fd, std::uint64_t committed, FaultPoints* faults)
      : fd_(std::move(fd)), faults_(faults), committed_(committed) {}

  void Add(std::string_view record) EXCLUDES(mutex_);

  const Fd fd_;
  FaultPoints* const faults_;
  mutable Mutex mutex_;
  std::uint64_t committed_ GUARDED_BY(mutex_);  ///< Bytes of records.
  bool broken_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::fs
