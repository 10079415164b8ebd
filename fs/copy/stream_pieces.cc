#include "fs/copy/stream_pieces.h"

#include <algorithm>
#include <utility>

namespace modelfs::fs {

void StreamPieces::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (filling_.empty()) filling_.reserve(options_.piece_bytes);
    const std::size_t room = options_.piece_bytes - filling_.size();
    const auto part = bytes.first(std::min(bytes.size(), room));
    filling_.insert(filling_.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (filling_.size() == options_.piece_bytes) Flush();
  }
}

void StreamPieces::Flush() {
  const std::uint64_t offset = offset_;
  offset_ += filling_.size();
  auto piece = std::make_shared<const std::vector<std::byte>>(std::exchange(filling_, {}));
  {
    MutexLock lock(mutex_);
    while (waiting_ >= options_.most_waiting && !failure_) changed_.Wait(mutex_);
    if (failure_) return;  // The rest is of no use.
    ++waiting_;
  }
  options_.pool->Post([self = shared_from_this(), offset, piece] {
    self->Written(self->options_.keep(offset, *piece));
  });
}

void StreamPieces::Written(Result<void> result) {
  Result<void> outcome;
  {
    MutexLock lock(mutex_);
    --waiting_;
    if (!result && !failure_) failure_ = std::move(result.error());
    changed_.NotifyAll();
    if (!ended_ || waiting_ > 0) return;
    if (const auto& failure = failure_) outcome = std::unexpected(*failure);
  }
  options_.ended(std::move(outcome));
}

void StreamPieces::End(Result<void> read) {
  if (read && !filling_.empty()) Flush();
  Result<void> outcome;
  {
    MutexLock lock(mutex_);
    ended_ = true;
    if (!read && !failure_) failure_ = std::move(read.error());
    if (waiting_ > 0) return;
    if (const auto& failure = failure_) outcome = std::unexpected(*failure);
  }
  options_.ended(std::move(outcome));
}

}  // namespace modelfs::fs
