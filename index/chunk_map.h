#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "fetch/base/byte_range.h"
#include "index/chunk_state.h"

namespace modelfs::index {

/// States and checksums of the chunks of one object, in memory.
///
/// Threads: states may be read from any thread at any time; everything that changes them, and the
/// checksums, is guarded by the mutex of the object that owns the map.
class ChunkMap {
 public:
  ChunkMap(std::uint64_t object_size_bytes, std::uint64_t chunk_size_bytes);

  std::uint64_t count() const { return count_; }
  std::uint64_t chunk_size() const { return chunk_size_; }
  std::uint64_t object_size() const { return object_size_; }
  /// The bytes of chunk `index`; the last one may be short.
  ByteRange RangeOf(std::uint64_t index) const;
  std::uint64_t IndexOf(std::uint64_t offset) const { return offset / chunk_size_; }

  ChunkState State(std::uint64_t index) const {
    return static_cast<ChunkState>(cells_[index].load(std::memory_order_acquire) & kStateMask);
  }
  /// Present, and checked in this life: may be read from the file as it is.
  bool Ready(std::uint64_t index) const {
    return cells_[index].load(std::memory_order_acquire) == kReady;
  }
  std::uint64_t Hash(std::uint64_t index) const { return hashes_[index]; }

  /// Aborts the process when MayMove forbids the move. The checked bit is cleared.
  void Move(std::uint64_t index, ChunkState to);
  /// Requires: the chunk is present.
  void MarkChecked(std::uint64_t index);
  void SetHash(std::uint64_t index, std::uint64_t hash) { hashes_[index] = hash; }
  /// Present, but to be checked before its next use. Requires: the chunk is present.
  void Uncheck(std::uint64_t index);
  /// Everything is absent. Requires: nothing is being fetched.
  void Reset();

  /// Somebody reads the chunk from the file: it must stay there. Guarded like the states.
  void BeginRead(std::uint64_t index) {
    ++readers_[index];
    ++all_readers_;
  }
  void EndRead(std::uint64_t index) {
    --readers_[index];
    --all_readers_;
  }
  bool BeingRead(std::uint64_t index) const { return readers_[index] > 0; }
  bool AnyBeingRead() const { return all_readers_ > 0; }

  /// When a chunk was used last, in ticks of the caller's clock. From any thread.
  void Used(std::uint64_t index, std::uint32_t now) {
    used_[index].store(now, std::memory_order_relaxed);
  }
  std::uint32_t LastUse(std::uint64_t index) const {
    return used_[index].load(std::memory_order_relaxed);
  }

  /// Used while a map is loaded: absent to present in one step, with its checksum.
  void Restore(std::uint64_t index, std::uint64_t hash);

  std::uint64_t present_chunks() const { return present_chunks_.load(std::memory_order_acquire); }
  std::uint64_t present_bytes() const { return present_bytes_.load(std::memory_order_acquire); }
  bool whole() const { return present_chunks() == count_; }

 private:
  static constexpr std::uint8_t kStateMask = 3;
  static constexpr std::uint8_t kCheckedBit = 4;
  static constexpr std::uint8_t kReady =
      static_cast<std::uint8_t>(ChunkState::kPresent) | kCheckedBit;

  void Count(std::uint64_t index, ChunkState from, ChunkState to);

  const std::uint64_t object_size_;
  const std::uint64_t chunk_size_;
  const std::uint64_t count_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> cells_;
  std::unique_ptr<std::uint64_t[]> hashes_;
  std::unique_ptr<std::uint16_t[]> readers_;
  std::unique_ptr<std::atomic<std::uint32_t>[]> used_;
  std::uint64_t all_readers_ = 0;
  std::atomic<std::uint64_t> present_chunks_{0};
  std::atomic<std::uint64_t> present_bytes_{0};
};

}  // namespace modelfs::index
