#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "index/index_db.h"

namespace modelfs::index {

/// 64 chunks of one object in the index: value of the `chunks` table. See FORMAT.md.
struct ChunkGroup {
  static constexpr std::uint64_t kChunks = 64;
  std::uint64_t present = 0;  ///< Bit i: chunk group*64+i.
  std::array<std::uint64_t, kChunks> hashes{};
};
static_assert(sizeof(ChunkGroup) == 520);

/// Key of the `chunks` table: serial and group, big-endian so that an object's groups are adjacent.
std::array<std::byte, 16> GroupKey(std::uint64_t serial, std::uint64_t group);

/// Value of the `objects` table; its key is the digest in hex.
std::vector<std::byte> EncodeObject(const ObjectRecord& record);
std::optional<ObjectRecord> DecodeObject(std::span<const std::byte> bytes);
/// The same for an index of format 1.
std::optional<ObjectRecord> DecodeObjectOfFormat1(std::span<const std::byte> bytes);

}  // namespace modelfs::index
