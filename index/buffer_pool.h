#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"

namespace modelfs::index {

class BufferPool;

/// One chunk buffer, 4 KiB aligned, owned. Goes back to its pool when destroyed.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::shared_ptr<BufferPool> pool, std::byte* data) : pool_(std::move(pool)), data_(data) {}
  Buffer(Buffer&& o) noexcept : pool_(std::move(o.pool_)), data_(std::exchange(o.data_, nullptr)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(pool_, o.pool_);
    std::swap(data_, o.data_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  explicit operator bool() const { return data_ != nullptr; }
  std::byte* data() const { return data_; }

 private:
  std::shared_ptr<BufferPool> pool_;
  std::byte* data_ = nullptr;
};

/// The right to take `count` buffers; what is not taken goes back when destroyed.
class Reservation {
 public:
  Reservation() = default;
  Reservation(std::shared_ptr<BufferPool> pool, std::size_t count)
      : pool_(std::move(pool)), count_(count) {}
  Reservation(Reservation&& o) noexcept
      : pool_(std::move(o.pool_)), count_(std::exchange(o.count_, 0)) {}
  Reservation& operator=(Reservation&& o) noexcept {
    std::swap(pool_, o.pool_);
    std::swap(count_, o.count_);
    return *this;
  }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation();

  std::size_t count() const { return count_; }
  /// Requires: count() > 0. Memory is taken now, not when it was reserved.
  Buffer Take();

 private:
  std::shared_ptr<BufferPool> pool_;
  std::size_t count_ = 0;
};

/// All chunk buffers of a cache, under one hard limit.
///
/// Who needs a buffer for a waiting reader queues (first come, first served) until buffers come
/// back; who would read ahead asks with TryReserve and is told no while readers queue. Memory
/// that nobody needed for a moment is returned to the system.
///
/// Threads: any. Grants run inside Reserve when there is room, else through `post`, never inside
/// the release of a buffer: buffers may be released under any lock.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  using Grant = std::move_only_function<void(Reservation)>;
  /// Runs a task elsewhere, soon.
  using Post = std::function<void(std::move_only_function<void()>)>;

  /// The limit is at least one buffer. `on_room` is posted when a TryReserve that failed may
  /// succeed, `on_want` when somebody begins to wait: who can do without a buffer lets go of it.
  BufferPool(
      std::uint64_t buffer_bytes, std::uint64_t limit_bytes, Post post,
      std::function<void()> on_room, std::function<void()> on_want = [] {});
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  std::size_t limit() const { return limit_; }  ///< In buffers.
  std::uint64_t buffer_bytes() const { return buffer_bytes_; }
  std::uint64_t used_bytes() const;

  /// `count` is cut to the limit; `grant` looks at Reservation::count(). An empty reservation means
  /// that the pool was closed.
  void Reserve(std::size_t count, Grant grant);
  /// As many as there are now, at most `count`, leaving a quarter of the limit for readers.
  Reservation TryReserve(std::size_t count);

  /// Grants empty reservations to all who queue, now and from now on.
  void Close();

 private:
  friend class Buffer;
  friend class Reservation;
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    std::size_t count;
    Grant grant;
  };

  std::byte* Allocate() EXCLUDES(mutex_);
  void Release(std::byte* data) EXCLUDES(mutex_);
  void Unreserve(std::size_t count) EXCLUDES(mutex_);
  void GrantWaiting() EXCLUDES(mutex_);

  const std::uint64_t buffer_bytes_;
  const std::size_t limit_;
  const Post post_;
  const std::function<void()> on_room_;
  const std::function<void()> on_want_;

  mutable Mutex mutex_;
  std::size_t reserved_ GUARDED_BY(mutex_) = 0;  ///< Reserved or taken.
  std::size_t taken_ GUARDED_BY(mutex_) = 0;
  std::vector<std::byte*> stock_ GUARDED_BY(mutex_);
  std::size_t least_stock_ GUARDED_BY(mutex_) = 0;  ///< In this window: what nobody needed.
  Clock::time_point window_began_ GUARDED_BY(mutex_);
  std::deque<Waiting> waiting_ GUARDED_BY(mutex_);
  bool starved_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::index
