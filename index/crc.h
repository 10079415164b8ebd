#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "fetch/published_checksum.h"

namespace modelfs::index {

/// The cyclic sums that origins publish: CRC-64/NVME, CRC-32 (zlib's) and CRC-32C (Castagnoli).
/// All are reflected and begin and end with all bits inverted; 32-bit ones lie in the low half.
/// Source: the catalogue of parametrised CRC algorithms (reveng.sourceforge.io), for the constants;
/// Gopal and others, "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ" (Intel, 2009).
///
/// Threads: any.
class Crc {
 public:
  /// Requires: `kind` is kCrc64Nvme, kCrc32 or kCrc32c.
  static std::uint64_t Of(fetch::ChecksumKind kind, std::span<const std::byte> bytes);
  /// The same without the processor's help, for comparison.
  static std::uint64_t OfByTable(fetch::ChecksumKind kind, std::span<const std::byte> bytes);
  static bool IsCrc(fetch::ChecksumKind kind);
};

/// Appends sums: the sum of `a` and `b` together, out of the sums of each, for a `b` of one length.
class CrcJoin {
 public:
  CrcJoin(fetch::ChecksumKind kind, std::uint64_t length_of_b_bytes);
  std::uint64_t operator()(std::uint64_t crc_of_a, std::uint64_t crc_of_b) const;

 private:
  fetch::ChecksumKind kind_;
  std::uint64_t power_;  ///< x to the number of bits of b, modulo the polynomial.
};

}  // namespace modelfs::index
