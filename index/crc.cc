#include "index/crc.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace modelfs::index {
namespace {

using Kind = fetch::ChecksumKind;

// Polynomials are written with their lowest bit as the highest power, as the sums are.
template <int kBits, std::uint64_t kPolynomial>
struct Algorithm {
  static constexpr std::uint64_t kTop = std::uint64_t{1} << (kBits - 1);  ///< x^0
  static constexpr std::uint64_t kAll = kTop | (kTop - 1);

  static constexpr std::uint64_t TimesX(std::uint64_t a) {
    return (a & 1) != 0 ? (a >> 1) ^ kPolynomial : a >> 1;
  }
  static constexpr std::uint64_t Multiply(std::uint64_t a, std::uint64_t b) {
    std::uint64_t product = 0;
    for (std::uint64_t bit = kTop; bit != 0; bit >>= 1) {
      if ((a & bit) != 0) product ^= b;
      b = TimesX(b);
    }
    return product;
  }
  /// x to the power of `n`.
  static constexpr std::uint64_t Power(std::uint64_t n) {
    std::uint64_t result = kTop;
    for (std::uint64_t square = kTop >> 1; n != 0; n >>= 1) {
      if ((n & 1) != 0) result = Multiply(result, square);
      square = Multiply(square, square);
    }
    return result;
  }

  using Tables = std::array<std::array<std::uint64_t, 256>, 8>;
  static constexpr Tables MakeTables() {
    Tables t{};
    for (std::uint64_t byte = 0; byte < 256; ++byte) {
      std::uint64_t crc = byte;
      for (int bit = 0; bit < 8; ++bit) crc = TimesX(crc);
      t[0][byte] = crc;
    }
    for (std::size_t k = 1; k < t.size(); ++k) {
      for (std::size_t byte = 0; byte < 256; ++byte) {
        t[k][byte] = t[0][t[k - 1][byte] & 0xff] ^ (t[k - 1][byte] >> 8);
      }
    }
    return t;
  }
  static constexpr Tables kTables = MakeTables();

  /// Goes on from the register `crc`, eight bytes at a time.
  static std::uint64_t ByTable(std::uint64_t crc, const std::byte* p, std::size_t n) {
    for (; n >= 8; p += 8, n -= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, p, 8);
      word ^= crc;
      crc = 0;
      for (std::size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
    }
    for (; n > 0; ++p, --n) {
      crc = kTables[0][(crc ^ static_cast<std::uint64_t>(*p)) & 0xff] ^ (crc >> 8);
    }
    return crc;
  }

#if defined(__x86_64__)
  /// Factors that carry 16 bytes over the `kDistance` bits behind them. One power less than that:
  /// the product of two mirrored numbers comes out shifted by one.
  template <int kDistance>
  __attribute__((target("pclmul,sse4.1"))) static __m128i Fold(__m128i value, __m128i next) {
    constexpr std::uint64_t kLow = Power(kDistance + 64 - 1) << (64 - kBits);
    constexpr std::uint64_t kHigh = Power(kDistance - 1) << (64 - kBits);
    const __m128i factors =
        _mm_set_epi64x(static_cast<long long>(kHigh), static_cast<long long>(kLow));
    const __m128i low = _mm_clmulepi64_si128(value, factors, 0x00);
    const __m128i high = _mm_clmulepi64_si128(value, factors, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
  }
  __attribute__((target("pclmul,sse4.1"))) static __m128i Load(const std::byte* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }

  __attribute__((target("pclmul,sse4.1"))) static std::uint64_t ByFolding(std::uint64_t crc,
                                                                          const std::byte* p,
                                                                          std::size_t n) {
    if (n < 128) return ByTable(crc, p, n);
    __m128i a = _mm_xor_si128(Load(p), _mm_set_epi64x(0, static_cast<long long>(crc)));
    __m128i b = Load(p + 16);
    __m128i c = Load(p + 32);
    __m128i d = Load(p + 48);
    for (p += 64, n -= 64; n >= 64; p += 64, n -= 64) {
      a = Fold<512>(a, Load(p));
      b = Fold<512>(b, Load(p + 16));
      c = Fold<512>(c, Load(p + 32));
      d = Fold<512>(d, Load(p + 48));
    }
    d = Fold<384>(a, d);
    d = Fold<256>(b, d);
    d = Fold<128>(c, d);
    std::array<std::byte, 16> rest{};
    _mm_storeu_si128(reinterpret_cast<__m128i*>(rest.data()), d);
    return ByTable(ByTable(0, rest.data(), rest.size()), p, n);
  }
#endif

  static std::uint64_t Sum(std::span<const std::byte> bytes, bool with_help) {
#if defined(__x86_64__)
    if (with_help && __builtin_cpu_supports("pclmul") != 0) {
      return ByFolding(kAll, bytes.data(), bytes.size()) ^ kAll;
    }
#endif
    static_cast<void>(with_help);
    return ByTable(kAll, bytes.data(), bytes.size()) ^ kAll;
  }
};

using Crc64Nvme = Algorithm<64, 0x9A6C9329AC4BC9B5>;
using Crc32 = Algorithm<32, 0xEDB88320>;
using Crc32c = Algorithm<32, 0x82F63B78>;

std::uint64_t Sum(Kind kind, std::span<const std::byte> bytes, bool with_help) {
  switch (kind) {
    case Kind::kCrc64Nvme: return Crc64Nvme::Sum(bytes, with_help);
    case Kind::kCrc32: return Crc32::Sum(bytes, with_help);
    case Kind::kCrc32c: return Crc32c::Sum(bytes, with_help);
    default: return 0;
  }
}

}  // namespace

std::uint64_t Crc::Of(Kind kind, std::span<const std::byte> bytes) {
  return Sum(kind, bytes, true);
}

std::uint64_t Crc::OfByTable(Kind kind, std::span<const std::byte> bytes) {
  return Sum(kind, bytes, false);
}

bool Crc::IsCrc(Kind kind) {
  return kind == Kind::kCrc64Nvme || kind == Kind::kCrc32 || kind == Kind::kCrc32c;
}

CrcJoin::CrcJoin(Kind kind, std::uint64_t length_of_b_bytes)
    : kind_(kind),
      power_(kind == Kind::kCrc64Nvme ? Crc64Nvme::Power(8 * length_of_b_bytes)
             : kind == Kind::kCrc32   ? Crc32::Power(8 * length_of_b_bytes)
                                      : Crc32c::Power(8 * length_of_b_bytes)) {}

std::uint64_t CrcJoin::operator()(std::uint64_t crc_of_a, std::uint64_t crc_of_b) const {
  switch (kind_) {
    case Kind::kCrc64Nvme: return Crc64Nvme::Multiply(crc_of_a, power_) ^ crc_of_b;
    case Kind::kCrc32: return Crc32::Multiply(crc_of_a, power_) ^ crc_of_b;
    default: return Crc32c::Multiply(crc_of_a, power_) ^ crc_of_b;
  }
}

}  // namespace modelfs::index
