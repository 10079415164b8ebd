#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace modelfs::test {

// The objects of a story by their numbers; a set of chunks is a bit for each.

constexpr std::uint64_t kModelChunk = 256 << 10;
constexpr std::size_t kMostModelObjects = 12;  ///< Keys, and what they are changed to.

std::uint64_t SizeOf(std::size_t object);
/// Those of all objects are made by the first call.
const std::vector<std::byte>& BytesOf(std::size_t object);
/// The chunks that [begin, end) touches.
std::uint32_t Chunks(std::uint64_t begin, std::uint64_t end);
/// How long `chunks` of an object are together.
std::uint64_t BytesIn(std::size_t object, std::uint32_t chunks);

}  // namespace modelfs::test
