#pragma once

#include <cstdint>

namespace modelfs::index {

/// What is known of one chunk.
///
///     absent ──► fetching ──► present
///       ▲           │            │
///       └───────────┴────────────┘
///        failed, or not kept | evicted, or its checksum failed
///
/// Beside the state a chunk has a bit "checked": its bytes on disk were seen equal to their
/// checksum in the life of this process. Only present and checked bytes are read straight from the
/// file.
enum class ChunkState : std::uint8_t {
  kAbsent,    ///< Nothing on disk that may be used.
  kFetching,  ///< A flight has it, or its bytes are in a buffer on their way to the disk.
  kPresent,   ///< Bytes are in the data file, checksum in the map.
};

/// The only moves there are; see ChunkMap::Move.
constexpr bool MayMove(ChunkState from, ChunkState to) {
  using enum ChunkState;
  switch (from) {
    case kAbsent: return to == kFetching;
    case kFetching: return to == kPresent || to == kAbsent;
    case kPresent: return to == kAbsent;
  }
  return false;
}
static_assert(MayMove(ChunkState::kAbsent, ChunkState::kFetching));
static_assert(MayMove(ChunkState::kFetching, ChunkState::kPresent));
static_assert(MayMove(ChunkState::kFetching, ChunkState::kAbsent));
static_assert(MayMove(ChunkState::kPresent, ChunkState::kAbsent));
static_assert(!MayMove(ChunkState::kAbsent, ChunkState::kPresent));
static_assert(!MayMove(ChunkState::kPresent, ChunkState::kFetching));
static_assert(!MayMove(ChunkState::kPresent, ChunkState::kPresent));

}  // namespace modelfs::index
