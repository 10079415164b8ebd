#pragma once

#include <chrono>
#include <cstdint>

#include "fetch/base/mutex.h"

namespace modelfs::index {

/// How large a read-ahead request should be.
///
/// Large enough that the wait for the first byte is a small part of it, small enough that a reader
/// who wants its last byte waits a quarter of a second: bandwidth * max(1/4 s, 4 * latency),
/// between one chunk and 16 MiB. Both are running means over finished requests. Starts with one
/// chunk.
///
/// Threads: any.
class FetchSize {
 public:
  explicit FetchSize(std::uint64_t chunk_bytes) : chunk_bytes_(chunk_bytes) {}

  void Measured(std::chrono::nanoseconds to_first_byte, std::chrono::nanoseconds of_body,
                std::uint64_t bytes);
  std::uint64_t Chunks() const;

 private:
  const std::uint64_t chunk_bytes_;
  mutable Mutex mutex_;
  double latency_seconds_ GUARDED_BY(mutex_) = 0;
  double bytes_per_second_ GUARDED_BY(mutex_) = 0;
};

}  // namespace modelfs::index
