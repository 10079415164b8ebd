#include "index/unread_chunks.h"

#include <vector>

#include "index/flight.h"

namespace modelfs::index {

UnreadChunks::Place UnreadChunks::TryTake() {
  if (taken_.fetch_add(1, std::memory_order_relaxed) < limit_) return Place(this);
  taken_.fetch_sub(1, std::memory_order_relaxed);
  return {};
}

void UnreadChunks::Keep(const void* object, std::shared_ptr<const ChunkLoad> load,
                        std::uint64_t read_bytes, Place place) {
  if (!place || read_bytes >= load->size_bytes) return Drop(object, load->chunk);
  const Key key{object, load->chunk};
  const std::uint64_t unread = load->size_bytes - read_bytes;
  Kept kept{.place = std::move(place),
            .load = std::move(load),
            .unread_bytes = unread,
            .until = Clock::now() + kKept};
  const MutexLock lock(mutex_);
  std::swap(kept_[key], kept);  // One that was there ends after the lock.
  size_.store(kept_.size(), std::memory_order_relaxed);
}

std::shared_ptr<const ChunkLoad> UnreadChunks::Read(const void* object, std::uint64_t chunk,
                                                    std::uint64_t bytes) {
  if (size_.load(std::memory_order_relaxed) == 0) return nullptr;
  const MutexLock lock(mutex_);
  const auto found = kept_.find({object, chunk});
  if (found == kept_.end()) return nullptr;
  if (found->second.unread_bytes > bytes) {
    found->second.unread_bytes -= bytes;
    return found->second.load;
  }
  auto load = std::move(found->second.load);
  kept_.erase(found);
  size_.store(kept_.size(), std::memory_order_relaxed);
  return load;
}

bool UnreadChunks::Holds(const void* object, std::uint64_t first, std::uint64_t last) const {
  if (size_.load(std::memory_order_relaxed) == 0) return false;
  const MutexLock lock(mutex_);
  const auto found = kept_.lower_bound({object, first});
  return found != kept_.end() && found->first <= Key{object, last};
}

void UnreadChunks::Drop(const void* object, std::uint64_t chunk) {
  if (size_.load(std::memory_order_relaxed) == 0) return;
  decltype(kept_)::node_type dropped;  // After the lock, as in DropIf.
  const MutexLock lock(mutex_);
  dropped = kept_.extract({object, chunk});
  size_.store(kept_.size(), std::memory_order_relaxed);
}

void UnreadChunks::DropAll(const void* object) {
  if (size_.load(std::memory_order_relaxed) == 0) return;
  DropIf([object](const Key& key, const Kept&) { return key.first == object; });
}

void UnreadChunks::Expire(Clock::time_point now) {
  if (size_.load(std::memory_order_relaxed) == 0) return;
  DropIf([now](const Key&, const Kept& kept) { return kept.until <= now; });
}

void UnreadChunks::Clear() {
  DropIf([](const Key&, const Kept&) { return true; });
}

template <class Which>
void UnreadChunks::DropIf(Which which) {
  std::vector<Kept> dropped;  // After the lock: memory may go back to the system.
  const MutexLock lock(mutex_);
  for (auto it = kept_.begin(); it != kept_.end();) {
    if (which(it->first, it->second)) {
      dropped.push_back(std::move(it->second));
      it = kept_.erase(it);
    } else {
      ++it;
    }
  }
  size_.store(kept_.size(), std::memory_order_relaxed);
}

}  // namespace modelfs::index
