#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "fetch/base/mutex.h"

namespace modelfs::fs {

/// Buffers for replies, kept for reuse: a fresh megabyte costs more than the read that fills it.
/// Threads: any. A buffer may outlive the pool.
class ReplyBuffers : public std::enable_shared_from_this<ReplyBuffers> {
 public:
  class Buffer {
   public:
    Buffer(std::unique_ptr<std::byte[]> bytes, std::size_t capacity, std::size_t size,
           std::weak_ptr<ReplyBuffers> home)
        : bytes_(std::move(bytes)), capacity_(capacity), size_(size), home_(std::move(home)) {}
    Buffer(Buffer&&) = default;
    Buffer& operator=(Buffer&&) = delete;
    ~Buffer();
    std::span<std::byte> span() const { return {bytes_.get(), size_}; }

   private:
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t capacity_;
    std::size_t size_;
    std::weak_ptr<ReplyBuffers> home_;
  };

  Buffer Get(std::size_t size);

 private:
  static constexpr std::size_t kCapacity = 1u << 20;
  static constexpr std::size_t kKept = 16;

  void Put(std::unique_ptr<std::byte[]> bytes);

  Mutex mutex_;
  std::vector<std::unique_ptr<std::byte[]>> free_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
