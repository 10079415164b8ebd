#include "index/buffer_pool.h"

#include <spdlog/spdlog.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

namespace modelfs::index {
namespace {

/// Buffers kept for the next user when none is in use.
constexpr std::uint64_t kIdleStockBytes = 2u << 20;
/// While some are in use, what nobody needed for so long goes: new memory costs a page fault for
/// each page.
constexpr std::chrono::milliseconds kWindow{250};

}  // namespace

Buffer::~Buffer() {
  if (data_ != nullptr) pool_->Release(data_);
}

Reservation::~Reservation() {
  if (count_ > 0) pool_->Unreserve(count_);
}

Buffer Reservation::Take() {
  --count_;
  return Buffer(pool_, pool_->Allocate());
}

BufferPool::BufferPool(std::uint64_t buffer_bytes, std::uint64_t limit_bytes, Post post,
                       std::function<void()> on_room, std::function<void()> on_want)
    : buffer_bytes_(buffer_bytes),
      limit_(std::max<std::uint64_t>(1, limit_bytes / buffer_bytes)),
      post_(std::move(post)),
      on_room_(std::move(on_room)),
      on_want_(std::move(on_want)) {}

BufferPool::~BufferPool() {
  for (std::byte* data : stock_) ::munmap(data, buffer_bytes_);
}

std::uint64_t BufferPool::used_bytes() const {
  const MutexLock lock(mutex_);
  return taken_ * buffer_bytes_;
}

void BufferPool::Reserve(std::size_t count, Grant grant) {
  count = std::clamp<std::size_t>(count, 1, limit_);
  bool wait = false;
  {
    const MutexLock lock(mutex_);
    if (closed_) {
      count = 0;
    } else if (!waiting_.empty() || reserved_ + count > limit_) {
      waiting_.push_back({count, std::move(grant)});
      wait = true;
    } else {
      reserved_ += count;
    }
  }
  if (wait) return post_([self = shared_from_this()] { self->on_want_(); });
  // NOLINTNEXTLINE(bugprone-use-after-move): not moved from where nobody waits.
  grant(count > 0 ? Reservation(shared_from_this(), count) : Reservation());
}

Reservation BufferPool::TryReserve(std::size_t count) {
  const MutexLock lock(mutex_);
  const std::size_t ceiling = limit_ - limit_ / 4;
  if (closed_ || !waiting_.empty() || reserved_ >= ceiling) {
    starved_ = !closed_;
    return {};
  }
  count = std::min(count, ceiling - reserved_);
  reserved_ += count;
  return {shared_from_this(), count};
}

void BufferPool::Close() {
  std::deque<Waiting> waiting;
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    waiting.swap(waiting_);
  }
  for (Waiting& w : waiting) w.grant(Reservation());
}

std::byte* BufferPool::Allocate() {
  {
    const MutexLock lock(mutex_);
    ++taken_;
    if (!stock_.empty()) {
      std::byte* data = stock_.back();
      stock_.pop_back();
      least_stock_ = std::min(least_stock_, stock_.size());
      return data;
    }
  }
  void* data =
      ::mmap(nullptr, buffer_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    // As with operator new, there is no going on without the memory that we were promised.
    spdlog::critical("buffer_pool.no_memory bytes={}", buffer_bytes_);
    std::abort();
  }
  return static_cast<std::byte*>(data);
}

void BufferPool::Release(std::byte* data) {
  std::vector<std::byte*> excess;
  {
    const MutexLock lock(mutex_);
    --taken_;
    stock_.push_back(data);
    std::size_t keep = stock_.size();
    if (taken_ == 0) {
      keep = kIdleStockBytes / buffer_bytes_;
    } else if (const auto now = Clock::now(); now - window_began_ >= kWindow) {
      keep -= std::min(keep, std::exchange(least_stock_, stock_.size()));
      window_began_ = now;
    }
    while (stock_.size() > keep) {
      excess.push_back(stock_.back());
      stock_.pop_back();
    }
  }
  for (std::byte* e : excess) ::munmap(e, buffer_bytes_);
  Unreserve(1);
}

void BufferPool::Unreserve(std::size_t count) {
  bool grant = false;
  bool room = false;
  {
    const MutexLock lock(mutex_);
    reserved_ -= count;
    grant = !waiting_.empty() && reserved_ + waiting_.front().count <= limit_;
    room = !grant && waiting_.empty() && std::exchange(starved_, false);
  }
  if (grant) post_([self = shared_from_this()] { self->GrantWaiting(); });
  if (room) post_([self = shared_from_this()] { self->on_room_(); });
}

void BufferPool::GrantWaiting() {
  for (;;) {
    Waiting next;
    {
      const MutexLock lock(mutex_);
      if (waiting_.empty() || reserved_ + waiting_.front().count > limit_) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
      reserved_ += next.count;
    }
    next.grant(Reservation(shared_from_this(), next.count));
  }
}

}  // namespace modelfs::index
