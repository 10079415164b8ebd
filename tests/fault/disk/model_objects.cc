#include "tests/fault/disk/model_objects.h"

#include <algorithm>
#include <array>

#include "tests/support/fake_origin.h"

namespace modelfs::test {

std::uint64_t SizeOf(std::size_t object) {
  static constexpr std::array<std::uint64_t, 6> kSizes{
      100, kModelChunk, kModelChunk + 1, 3 * kModelChunk + 7, 5 * kModelChunk, 2 * kModelChunk - 1};
  return kSizes[object % kSizes.size()];
}

/// The bytes of all identities that a story can have; made once.
const std::vector<std::byte>& BytesOf(std::size_t object) {
  static const std::vector<std::vector<std::byte>> all = [] {
    std::vector<std::vector<std::byte>> made;
    for (std::size_t i = 0; i < kMostModelObjects; ++i)
      made.push_back(MakeBytes(1000 + i, SizeOf(i)));
    return made;
  }();
  return all[object];
}

std::uint32_t Chunks(std::uint64_t begin, std::uint64_t end) {
  std::uint32_t bits = 0;
  for (std::uint64_t c = begin / kModelChunk; c * kModelChunk < end; ++c) bits |= 1u << c;
  return bits;
}

std::uint64_t BytesIn(std::size_t object, std::uint32_t bits) {
  std::uint64_t bytes = 0;
  for (std::uint64_t c = 0; c * kModelChunk < SizeOf(object); ++c) {
    if ((bits >> c & 1) != 0) bytes += std::min(kModelChunk, SizeOf(object) - c * kModelChunk);
  }
  return bytes;
}

}  // namespace modelfs::test
