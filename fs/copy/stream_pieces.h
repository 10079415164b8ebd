#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/base/worker_pool.h"
#include "fetch/origin.h"

namespace modelfs::fs {

/// Cuts a stream into pieces and has them written while it goes on.
///
/// When the disk is slower than the network, Append waits: the http threads of a copy have nothing
/// else to do, and memory would grow by the size of the file.
///
/// Threads: Append and End on the origin's, one at a time. Lock order: `mutex_` is a leaf.
class StreamPieces final : public fetch::BodySink,
                           public std::enable_shared_from_this<StreamPieces> {
 public:
  struct Options {
    WorkerPool* pool = nullptr;  ///< Borrowed, until `ended`.
    std::uint64_t piece_bytes = 0;
    std::size_t most_waiting = 1;  ///< Pieces between here and the disk.
    /// Writes a piece; on the pool's threads, several at once.
    std::function<Result<void>(std::uint64_t offset, std::span<const std::byte> bytes)> keep;
    /// Called once, when the stream is over and nothing is on its way to the disk any more: with
    /// what went wrong first.
    std::function<void(Result<void>)> ended;
  };
  explicit StreamPieces(Options options) : options_(std::move(options)) {}

  void Append(std::span<const std::byte> bytes) override EXCLUDES(mutex_);
  /// No Append follows.
  void End(Result<void> read) EXCLUDES(mutex_);

 private:
  void Flush() EXCLUDES(mutex_);
  void Written(Result<void> result) EXCLUDES(mutex_);

  const Options options_;
  std::uint64_t offset_ = 0;        // Of the piece that is being filled.
  std::vector<std::byte> filling_;  // These two: by the origin's thread alone.
  Mutex mutex_;
  CondVar changed_;
  std::size_t waiting_ GUARDED_BY(mutex_) = 0;
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  bool ended_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::fs
