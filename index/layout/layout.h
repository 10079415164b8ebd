#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "fetch/base/byte_range.h"

namespace modelfs::index {

/// What one file may cost to understand: bytes asked for, parts and siblings kept.
inline constexpr std::uint64_t kMostLayoutBytes = 64u << 20;
inline constexpr std::size_t kMostLayoutParts = 1'000'000;
inline constexpr std::size_t kMostLayoutSiblings = 100'000;

/// What a file's own structure says about the bytes that its loader will want.
struct Layout {
  /// Ascending, disjoint, not empty, within the object. Header parts are parts too.
  std::vector<ByteRange> parts;
  /// Other files that will be wanted, in order and each once, relative to this one's folder. Only
  /// what IsSafeRelativePath lets pass.
  std::vector<std::string> siblings;
};

/// Bytes that are needed to go on: not empty, within the object, not asked for before, and at most
/// kMostLayoutBytes over all needs of one reader.
struct LayoutNeed {
  ByteRange range;
};

/// The structure is not understood, or not believed; nothing is to be planned.
struct LayoutDoubt {
  std::string why;
};

using LayoutStep = std::variant<LayoutNeed, Layout, LayoutDoubt>;

/// The layout of `parts`, in any order; empty ones are left out. Doubt when two overlap, when one
/// leaves the object, or when there are too many of them or of `siblings`.
LayoutStep MakeLayout(std::vector<ByteRange> parts, std::uint64_t size_bytes,
                      std::vector<std::string> siblings = {});

}  // namespace modelfs::index
