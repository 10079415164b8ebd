#pragma once

#include <cstdint>

namespace modelfs::fs {

/// The kernel's number for a node, made of what a successor process can derive again:
///
///     63            33 32                1   0
///     +---------------+------------------+-----+
///     | manifest      | entry index      | hot |
///     +---------------+------------------+-----+
///
/// `manifest` is the serial of the listing that the entry stands in; 0 is the mount's root, whose
/// entries are the sources, counted from 1. The root itself is 1 (FUSE_ROOT_ID). `hot` marks the
/// second number of a file that is read by kernel passthrough.
struct NodeId {
  std::uint32_t manifest = 0;
  std::uint32_t index = 0;
  bool hot = false;

  static constexpr std::uint64_t kRoot = 1;

  constexpr std::uint64_t Pack() const {
    return std::uint64_t{manifest} << 33 | std::uint64_t{index} << 1 | (hot ? 1 : 0);
  }
  static constexpr NodeId Unpack(std::uint64_t id) {
    return {static_cast<std::uint32_t>(id >> 33), static_cast<std::uint32_t>(id >> 1),
            (id & 1) != 0};
  }
  /// The inode number that people see: one for both numbers of a file.
  static constexpr std::uint64_t InodeNumber(std::uint64_t id) {
    return id == kRoot ? kRoot : id & ~std::uint64_t{1};
  }
  friend constexpr bool operator==(NodeId, NodeId) = default;
};

static_assert(NodeId::Unpack(NodeId{.manifest = 7, .index = 9, .hot = true}.Pack()) ==
              NodeId{.manifest = 7, .index = 9, .hot = true});
static_assert(NodeId{.manifest = 0, .index = 1}.Pack() != NodeId::kRoot);

}  // namespace modelfs::fs
