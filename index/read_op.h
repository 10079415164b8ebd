#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"

namespace modelfs::index {

/// One CachedObject::Read, answered when the last of its pieces is.
///
/// Threads: any. The completion runs in the last Finish, so no lock may be held there.
class ReadOp {
 public:
  ReadOp(std::size_t total_bytes, Done<std::size_t> done)
      : total_bytes_(total_bytes), done_(std::move(done)) {}

  /// Announces one more piece. Requires: another piece is still open.
  void Add() { open_.fetch_add(1, std::memory_order_relaxed); }
  /// The first error of any piece is the answer.
  void Finish(std::optional<Error> error = std::nullopt) {
    if (error) {
      const MutexLock lock(mutex_);
      if (!error_) error_ = std::move(error);
    }
    if (open_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    std::optional<Error> first;
    {
      const MutexLock lock(mutex_);
      first = std::move(error_);
    }
    if (first) {
      done_(std::unexpected(std::move(*first)));
    } else {
      done_(total_bytes_);
    }
  }

 private:
  const std::size_t total_bytes_;
  std::atomic<std::uint32_t> open_{1};  ///< The first piece is the caller's own.
  Mutex mutex_;
  std::optional<Error> error_ GUARDED_BY(mutex_);
  Done<std::size_t> done_;
};

/// The part of a read that lies in one chunk.
struct ReadPiece {
  std::shared_ptr<ReadOp> op;
  std::uint64_t chunk = 0;
  std::uint64_t offset = 0;  ///< In the chunk.
  std::span<std::byte> dst;

  std::uint64_t end() const { return offset + dst.size(); }
  void CopyFrom(const std::byte* chunk_data) const {
    std::memcpy(dst.data(), chunk_data + offset, dst.size());
  }
};

}  // namespace modelfs::index
