#include "tests/support/pattern.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace modelfs::test {
namespace {

/// Word `index` of the sequence: splitmix64, whose state is a plain multiple of the index.
std::uint64_t Word(std::uint64_t seed, std::uint64_t index) {
  std::uint64_t z = seed * 0xD1342543DE82EF95u + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace

void PatternBytes(std::uint64_t seed, std::uint64_t offset, std::span<std::byte> out) {
  std::uint64_t index = offset / 8;
  std::size_t skip = offset % 8;
  while (!out.empty()) {
    const std::uint64_t word = Word(seed, index++);
    const std::size_t n = std::min<std::size_t>(8 - skip, out.size());
    std::memcpy(out.data(), reinterpret_cast<const std::byte*>(&word) + skip, n);
    out = out.subspan(n);
    skip = 0;
  }
}

std::optional<std::size_t> PatternMismatch(std::uint64_t seed, std::uint64_t offset,
                                           std::span<const std::byte> bytes) {
  std::array<std::byte, 4096> expected;
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t n = std::min(expected.size(), bytes.size() - done);
    PatternBytes(seed, offset + done, std::span(expected).first(n));
    if (std::memcmp(expected.data(), bytes.data() + done, n) != 0) {
      for (std::size_t i = 0; i < n; ++i) {
        if (expected[i] != bytes[done + i]) return done + i;
      }
    }
    done += n;
  }
  return std::nullopt;
}

}  // namespace modelfs::test
