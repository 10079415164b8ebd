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

/// One CachedObject::Read or Borrow, answered when the last of its pieces is.
///
/// Threads: any. The completion runs in the last Finish, so no lock may be held there.
class ReadOp {
 public:
  enum class Lending : std::uint8_t {
    kNo,
    kYes,  ///< The answer may be in the memory of whoever has the bytes.
  };

  ReadOp(std::span<std::byte> dst, Lending lending, Done<std::span<const std::byte>> done)
      : dst_(dst), lending_(lending), answer_(dst), done_(std::move(done)) {}

  /// Announces one more piece. Requires: another piece is still open.
  void Add() { open_.fetch_add(1, std::memory_order_relaxed); }
  /// The bytes from `offset` of the read on. They stay where they are until the caller's Finish
  /// has returned.
  void Put(std::size_t offset, std::span<const std::byte> bytes) {
    // With nothing else open the completion runs in that Finish.
    const bool last = open_.load(std::memory_order_acquire) == 1;
    if (lending_ == Lending::kYes && last && bytes.size() == dst_.size()) {
      answer_ = bytes;
    } else {
      std::memcpy(dst_.data() + offset, bytes.data(), bytes.size());
    }
  }
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
      done_(answer_);
    }
  }

  std::span<std::byte> dst() const { return dst_; }

 private:
  const std::span<std::byte> dst_;
  const Lending lending_;
  std::span<const std::byte> answer_;   ///< Changed by the only piece that is open.
  std::atomic<std::uint32_t> open_{1};  ///< The first piece is the caller's own.
  Mutex mutex_;
  std::optional<Error> error_ GUARDED_BY(mutex_);
  Done<std::span<const std::byte>> done_;
};

/// The part of a read that lies in one chunk.
struct ReadPiece {
  std::shared_ptr<ReadOp> op;
  std::uint64_t chunk = 0;
  std::uint64_t offset = 0;  ///< In the chunk.
  std::span<std::byte> dst;

  std::uint64_t end() const { return offset + dst.size(); }
  /// `chunk_data` stays where it is until op->Finish() has returned.
  void TakeFrom(const std::byte* chunk_data) const {
    op->Put(static_cast<std::size_t>(dst.data() - op->dst().data()),
            {chunk_data + offset, dst.size()});
  }
};

}  // namespace modelfs::index
