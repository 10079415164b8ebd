#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace modelfs::test {

/// Fills `out` with bytes [offset, offset + out.size()) of the endless pseudo-random sequence that
/// `seed` names. Seekable and cheap (some GB/s), so that a test can check any range of an object of
/// any size without holding a copy of it.
void PatternBytes(std::uint64_t seed, std::uint64_t offset, std::span<std::byte> out);

/// Index in `bytes` of the first byte that differs from that sequence; none when all are equal.
std::optional<std::size_t> PatternMismatch(std::uint64_t seed, std::uint64_t offset,
                                           std::span<const std::byte> bytes);

}  // namespace modelfs::test
