#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "fetch/base/byte_range.h"

namespace modelfs::index::shared {

/// Where the segments of one object begin and end.
///
/// A segment is the unit that one replica fetches for all and publishes, so that a small object has
/// smaller ones: about sixteen, of an eighth of the directory's segment size at the least. Follows
/// from what all replicas know, and is part of an object's name in the directory.
class SegmentLayout {
 public:
  static constexpr std::uint64_t kLeastBytes = 1u << 20;

  /// Requires: `most_bytes` is a power of two.
  SegmentLayout(std::uint64_t object_bytes, std::uint64_t most_bytes)
      : object_bytes_(object_bytes),
        segment_bytes_(std::clamp(std::bit_floor(std::max<std::uint64_t>(object_bytes / 16, 1)),
                                  std::max(most_bytes / 8, std::min(kLeastBytes, most_bytes)),
                                  most_bytes)) {}

  std::uint64_t object_bytes() const { return object_bytes_; }
  std::uint64_t segment_bytes() const { return segment_bytes_; }
  std::uint64_t count() const { return (object_bytes_ + segment_bytes_ - 1) / segment_bytes_; }
  std::uint64_t IndexOf(std::uint64_t offset) const { return offset / segment_bytes_; }
  ByteRange RangeOf(std::uint64_t index) const {
    return {index * segment_bytes_, std::min(object_bytes_, (index + 1) * segment_bytes_)};
  }

 private:
  std::uint64_t object_bytes_;
  std::uint64_t segment_bytes_;
};

}  // namespace modelfs::index::shared
