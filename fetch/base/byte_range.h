#pragma once

#include <algorithm>
#include <cstdint>

namespace modelfs {

/// Half-open range of bytes of one object: [begin, end).
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  static constexpr ByteRange At(std::uint64_t offset, std::uint64_t length) {
    return {offset, offset + length};
  }
  constexpr std::uint64_t size() const { return end - begin; }
  constexpr bool empty() const { return begin >= end; }
  constexpr bool Contains(ByteRange o) const { return begin <= o.begin && o.end <= end; }
  constexpr ByteRange Intersect(ByteRange o) const {
    const std::uint64_t b = std::max(begin, o.begin);
    return {b, std::max(b, std::min(end, o.end))};
  }
  friend constexpr bool operator==(ByteRange, ByteRange) = default;
};

}  // namespace modelfs
