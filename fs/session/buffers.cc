#include "fs/session/buffers.h"

#include <algorithm>
#include <utility>

namespace modelfs::fs {

ReplyBuffers::Buffer::~Buffer() {
  if (!bytes_ || capacity_ != kCapacity) return;
  if (auto home = home_.lock()) home->Put(std::move(bytes_));
}

ReplyBuffers::Buffer ReplyBuffers::Get(std::size_t size) {
  const std::size_t capacity = std::max(size, kCapacity);
  std::unique_ptr<std::byte[]> bytes;
  if (capacity == kCapacity) {
    MutexLock lock(mutex_);
    if (!free_.empty()) {
      bytes = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!bytes) bytes = std::make_unique_for_overwrite<std::byte[]>(capacity);
  return {std::move(bytes), capacity, size, weak_from_this()};
}

void ReplyBuffers::Put(std::unique_ptr<std::byte[]> bytes) {
  MutexLock lock(mutex_);
  if (free_.size() < kKept) free_.push_back(std::move(bytes));
}

}  // namespace modelfs::fs
