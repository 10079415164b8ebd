#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fetch/base/byte_range.h"
#include "fetch/published_checksum.h"
#include "index/map_file.h"

namespace modelfs::index {

/// The sums of one chunk; `flags` says which are filled, in MapRecord's bits.
struct ChunkSums {
  std::uint64_t crc64nvme = 0;
  std::uint32_t crc32 = 0;
  std::uint32_t crc32c = 0;
  std::uint32_t flags = 0;

  static constexpr std::uint32_t kAll =
      MapRecord::kCrc64Nvme | MapRecord::kCrc32 | MapRecord::kCrc32c;
  /// `kinds`: the flags that are wanted.
  static ChunkSums Of(std::span<const std::byte> bytes, std::uint32_t kinds);
  /// Nullopt when it was not summed.
  std::optional<std::uint64_t> Get(fetch::ChecksumKind kind) const;
  /// The flag of a kind; 0 when it is no CRC.
  static std::uint32_t FlagOf(fetch::ChecksumKind kind);
};

/// Compares an object with what its origin publishes about it. CRCs are composed out of those of
/// the chunks; everything else is read back.
///
/// Threads: none of its own; blocks on the disk.
class OriginSums {
 public:
  struct Object {
    std::uint64_t size_bytes = 0;
    std::uint64_t chunk_bytes = 0;
    /// What the map has of a chunk; no flags: nothing.
    std::function<ChunkSums(std::uint64_t chunk)> sums;
    /// Fills `out` with a chunk, compared with its hash. False: not to be had (any more).
    std::function<bool(std::uint64_t chunk, std::vector<std::byte>& out)> read;
  };
  enum class Verdict : std::uint8_t {
    kEqual,
    kDifferent,  ///< See bad.
    kUnknown     ///< Nothing that can be compared, or a chunk could not be read.
  };
  struct Outcome {
    Verdict verdict = Verdict::kUnknown;
    std::vector<ByteRange> bad;  ///< Chunk-aligned outwards, ascending.
    std::string kind;            ///< What was compared: "crc64nvme".
  };

  /// Takes the cheapest sums that cover the whole object: one CRC of the whole, then CRCs of parts,
  /// then SHA-256, SHA-1 and MD5 of the whole, then of parts.
  static Outcome Compare(const Object& object, const fetch::PublishedChecksums& published);
  /// The flags of the CRCs among `published`: what is worth summing.
  static std::uint32_t KindsOf(const fetch::PublishedChecksums& published);
};

}  // namespace modelfs::index
