#include "index/chunk_map.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>

namespace modelfs::index {

ChunkMap::ChunkMap(std::uint64_t object_size_bytes, std::uint64_t chunk_size_bytes)
    : object_size_(object_size_bytes),
      chunk_size_(chunk_size_bytes),
      count_((object_size_bytes + chunk_size_bytes - 1) / chunk_size_bytes),
      cells_(std::make_unique<std::atomic<std::uint8_t>[]>(count_)),
      hashes_(std::make_unique<std::uint64_t[]>(count_)),
      readers_(std::make_unique<std::uint16_t[]>(count_)),
      used_(std::make_unique<std::atomic<std::uint32_t>[]>(count_)) {}

ByteRange ChunkMap::RangeOf(std::uint64_t index) const {
  const std::uint64_t begin = index * chunk_size_;
  return {begin, std::min(begin + chunk_size_, object_size_)};
}

void ChunkMap::Move(std::uint64_t index, ChunkState to) {
  const ChunkState from = State(index);
  if (!MayMove(from, to)) {
    spdlog::critical("chunk.bad_move index={} from={} to={}", index, static_cast<int>(from),
                     static_cast<int>(to));
    std::abort();
  }
  cells_[index].store(static_cast<std::uint8_t>(to), std::memory_order_release);
  Count(index, from, to);
}

void ChunkMap::MarkChecked(std::uint64_t index) {
  if (State(index) != ChunkState::kPresent) return;
  cells_[index].store(kReady, std::memory_order_release);
}

void ChunkMap::Uncheck(std::uint64_t index) {
  if (State(index) != ChunkState::kPresent) return;
  cells_[index].store(static_cast<std::uint8_t>(ChunkState::kPresent), std::memory_order_release);
}

void ChunkMap::Reset() {
  for (std::uint64_t i = 0; i < count_; ++i) {
    if (State(i) == ChunkState::kPresent) Move(i, ChunkState::kAbsent);
  }
}

void ChunkMap::Restore(std::uint64_t index, std::uint64_t hash) {
  hashes_[index] = hash;
  cells_[index].store(static_cast<std::uint8_t>(ChunkState::kPresent), std::memory_order_release);
  Count(index, ChunkState::kAbsent, ChunkState::kPresent);
}

void ChunkMap::Count(std::uint64_t index, ChunkState from, ChunkState to) {
  const std::uint64_t bytes = RangeOf(index).size();
  if (to == ChunkState::kPresent) {
    present_bytes_.fetch_add(bytes, std::memory_order_acq_rel);
    present_chunks_.fetch_add(1, std::memory_order_acq_rel);
  } else if (from == ChunkState::kPresent) {
    present_chunks_.fetch_sub(1, std::memory_order_acq_rel);
    present_bytes_.fetch_sub(bytes, std::memory_order_acq_rel);
  }
}

}  // namespace modelfs::index
