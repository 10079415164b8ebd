#pragma once

#include <cstdint>

namespace modelfs::fs {

/// The kernel's number for a node, made of what a successor process can derive again:
///
///     63            33 32      29 28           1   0
///     +---------------+----------+-------------+-----+
///     | manifest      | life     | entry index | hot |
///     +---------------+----------+-------------+-----+
///
/// `manifest` is the serial of the listing that the entry stands in; 0 is the mount's root, whose
/// entries are the sources, counted from 1. The root itself is 1 (FUSE_ROOT_ID). `hot` marks the
/// second number of a file that is read by kernel passthrough; each file of the cache that it was
/// ever read from has another `life`, because the kernel ties a number to one file.
struct NodeId {
  static constexpr std::uint32_t kMaxIndex = (1u << 28) - 1;
  static constexpr std::uint32_t kLives = 16;

  std::uint32_t manifest = 0;
  std::uint32_t index = 0;
  bool hot = false;
  std::uint32_t life = 0;  ///< Below kLives; 0 unless hot.

  static constexpr std::uint64_t kRoot = 1;

  constexpr std::uint64_t Pack() const {
    return std::uint64_t{manifest} << 33 | std::uint64_t{life & (kLives - 1)} << 29 |
           std::uint64_t{index & kMaxIndex} << 1 | (hot ? 1 : 0);
  }
  static constexpr NodeId Unpack(std::uint64_t id) {
    return {.manifest = static_cast<std::uint32_t>(id >> 33),
            .index = static_cast<std::uint32_t>(id >> 1) & kMaxIndex,
            .hot = (id & 1) != 0,
            .life = static_cast<std::uint32_t>(id >> 29) & (kLives - 1)};
  }
  /// The number by which the tree knows the file; the root is itself.
  static constexpr std::uint64_t Cold(std::uint64_t id) {
    return id == kRoot ? kRoot : id & ~(std::uint64_t{kLives - 1} << 29 | 1);
  }
  static constexpr std::uint64_t Hot(std::uint64_t cold, std::uint32_t life) {
    return cold | std::uint64_t{life & (kLives - 1)} << 29 | 1;
  }
  static constexpr bool IsHot(std::uint64_t id) { return id != kRoot && (id & 1) != 0; }
  /// The inode number that people see: one for all numbers of a file.
  static constexpr std::uint64_t InodeNumber(std::uint64_t id) { return Cold(id); }
  friend constexpr bool operator==(NodeId, NodeId) = default;
};

static_assert(NodeId::Unpack(NodeId{.manifest = 7, .index = 9, .hot = true, .life = 5}.Pack()) ==
              NodeId{.manifest = 7, .index = 9, .hot = true, .life = 5});
static_assert(NodeId{.manifest = 0, .index = 1}.Pack() != NodeId::kRoot);
static_assert(NodeId::Cold(NodeId::Hot(NodeId{.manifest = 7, .index = 9}.Pack(), 15)) ==
              NodeId{.manifest = 7, .index = 9}.Pack());

}  // namespace modelfs::fs
