#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/byte_range.h"
#include "fetch/origin.h"
#include "index/record_store.h"

namespace modelfs::index {

/// The order in which a load touched the bytes of an object: what the next one will want first.
///
/// Encoded: "MFSPROF1", object size, count, then begin and size of each range, 8 bytes each,
/// little-endian.
struct AccessProfile {
  static constexpr std::size_t kMostRanges = 16'384;

  std::uint64_t object_bytes = 0;
  std::vector<ByteRange> ranges;  ///< In order of first use; disjoint, not empty.

  friend bool operator==(const AccessProfile&, const AccessProfile&) = default;

  std::uint64_t bytes() const;
  std::string Encode() const;
  /// Nullopt for what is no profile, or of more than it says, or than its object has. From another
  /// machine: not trusted.
  static std::optional<AccessProfile> Decode(std::string_view bytes);

  /// The record keys of an object's own profile, and of one that fits every object of the same
  /// name and size, as the next version of a model has mostly.
  static std::string KeyOf(const fetch::ObjectId& id);
  static std::string LayoutKeyOf(const fetch::ObjectId& id);
  /// That of one that came as a file: for objects of this name and size, wherever they are.
  static std::string SharedKeyOf(std::string_view name, std::uint64_t size_bytes);
  /// The last component of an object's key.
  static std::string_view NameOf(const fetch::ObjectId& id);
  /// The best of those that are kept for `id`.
  static std::optional<AccessProfile> Find(const RecordStore& records, const fetch::ObjectId& id);
};

/// Watches the reads of a load.
///
/// The kernel reads ahead, so that what was read is not quite what was wanted: where the object's
/// parts (tensors) are known, a part counts when most of it was read.
/// Threads: none of its own; guarded by its owner. Memory: a bit per 128 KiB, 4 bytes per chunk.
class ProfileRecorder {
 public:
  static constexpr std::uint64_t kBlockBytes = 128u << 10;

  ProfileRecorder(std::uint64_t object_bytes, std::uint64_t chunk_bytes);

  void Note(ByteRange read);
  /// `parts`: ascending, disjoint; empty: not known. Nullopt when there was too little to tell.
  std::optional<AccessProfile> Profile(const std::vector<ByteRange>& parts) const;

 private:
  struct Ordered {
    std::uint32_t when;
    ByteRange range;
  };
  bool Touched(std::uint64_t block) const { return (blocks_[block / 64] >> block % 64 & 1) != 0; }
  std::vector<Ordered> ByParts(const std::vector<ByteRange>& parts) const;
  std::vector<Ordered> ByChunks() const;

  const std::uint64_t object_bytes_;
  const std::uint64_t chunk_bytes_;
  std::uint32_t clock_ = 0;
  std::vector<std::uint64_t> blocks_;
  std::vector<std::uint32_t> first_;  ///< By chunk: when it was touched first; 0: never.
};

}  // namespace modelfs::index
