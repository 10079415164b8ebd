#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/sha256.h"

namespace modelfs::index::shared {

/// What stands behind the bytes of a segment, so that a file says by itself what it holds.
///
/// ```
///  | bytes of the segment | sum of each block | oid, index, length, block size, check, magic |
///  0                      length              length + 8 * blocks                          end
/// ```
/// See FORMAT.md.
struct SegmentTrailer {
  static constexpr std::size_t kFixedBytes = 80;
  static constexpr std::uint32_t kVersion = 1;

  Sha256Digest oid{};
  std::uint64_t index = 0;
  std::uint64_t length_bytes = 0;
  std::uint32_t block_bytes = 1u << 20;
  std::vector<std::uint64_t> sums;  ///< XXH3-64 of each block, the last one may be short.

  static std::uint64_t BlocksOf(std::uint64_t length_bytes, std::uint32_t block_bytes) {
    return (length_bytes + block_bytes - 1) / block_bytes;
  }
  /// Of the whole file.
  std::uint64_t file_bytes() const { return length_bytes + sums.size() * 8 + kFixedBytes; }

  std::vector<std::byte> Encode() const;

  /// Reads the fixed part, the last kFixedBytes of a file; `sums` gets its size, and no content.
  /// Errors: kCorrupt.
  static Result<SegmentTrailer> DecodeFixed(std::span<const std::byte> fixed,
                                            std::uint64_t file_bytes);
  /// `all`: sums and fixed part. Errors: kCorrupt.
  static Result<SegmentTrailer> Decode(std::span<const std::byte> all, std::uint64_t file_bytes);
};

}  // namespace modelfs::index::shared
