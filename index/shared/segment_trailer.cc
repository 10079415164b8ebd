#include "index/shared/segment_trailer.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <cstring>
#include <string_view>

namespace modelfs::index::shared {
namespace {

constexpr std::string_view kMagic = "MFSSEG01";
constexpr std::uint32_t kLeastBlock = 4096;
constexpr std::uint32_t kMostBlock = 16u << 20;

template <class Number>
void Put(std::vector<std::byte>& out, Number value) {
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
  }
}

template <class Number>
Number Take(std::span<const std::byte> bytes, std::size_t at) {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    value |= static_cast<Number>(std::to_integer<Number>(bytes[at + i]) << (8 * i));
  }
  return value;
}

// Places in the fixed part.
constexpr std::size_t kIndex = 32;
constexpr std::size_t kLength = 40;
constexpr std::size_t kBlock = 48;
constexpr std::size_t kBlocks = 52;
constexpr std::size_t kVersionAt = 56;
constexpr std::size_t kCheck = 64;
constexpr std::size_t kMagicAt = 72;

}  // namespace

std::vector<std::byte> SegmentTrailer::Encode() const {
  std::vector<std::byte> out;
  out.reserve(sums.size() * 8 + kFixedBytes);
  for (const std::uint64_t sum : sums) Put(out, sum);
  out.insert(out.end(), oid.begin(), oid.end());
  Put(out, index);
  Put(out, length_bytes);
  Put(out, block_bytes);
  Put(out, static_cast<std::uint32_t>(sums.size()));
  Put(out, kVersion);
  Put(out, std::uint32_t{0});
  Put<std::uint64_t>(out, XXH3_64bits(out.data(), out.size()));
  const auto magic = std::as_bytes(std::span(kMagic));
  out.insert(out.end(), magic.begin(), magic.end());
  return out;
}

Result<SegmentTrailer> SegmentTrailer::DecodeFixed(std::span<const std::byte> fixed,
                                                   std::uint64_t file_bytes) {
  if (fixed.size() != kFixedBytes ||
      std::memcmp(fixed.data() + kMagicAt, kMagic.data(), kMagic.size()) != 0) {
    return Fail(Errc::kCorrupt, "no segment ends here");
  }
  if (const auto version = Take<std::uint32_t>(fixed, kVersionAt); version != kVersion) {
    return Fail(Errc::kCorrupt, fmt::format("a segment of version {}", version));
  }
  SegmentTrailer trailer{.index = Take<std::uint64_t>(fixed, kIndex),
                         .length_bytes = Take<std::uint64_t>(fixed, kLength),
                         .block_bytes = Take<std::uint32_t>(fixed, kBlock)};
  std::memcpy(trailer.oid.data(), fixed.data(), trailer.oid.size());
  const std::uint64_t blocks = Take<std::uint32_t>(fixed, kBlocks);
  const bool sound = trailer.block_bytes >= kLeastBlock && trailer.block_bytes <= kMostBlock &&
                     trailer.length_bytes <= file_bytes &&
                     file_bytes - trailer.length_bytes >= kFixedBytes &&
                     blocks == BlocksOf(trailer.length_bytes, trailer.block_bytes) &&
                     file_bytes - trailer.length_bytes - kFixedBytes == blocks * 8;
  if (!sound) return Fail(Errc::kCorrupt, "a segment whose lengths do not fit its file");
  trailer.sums.resize(blocks);
  return trailer;
}

Result<SegmentTrailer> SegmentTrailer::Decode(std::span<const std::byte> all,
                                              std::uint64_t file_bytes) {
  if (all.size() < kFixedBytes) return Fail(Errc::kCorrupt, "shorter than a trailer");
  auto trailer = DecodeFixed(all.last(kFixedBytes), file_bytes);
  if (!trailer) return trailer;
  if (all.size() != trailer->sums.size() * 8 + kFixedBytes) {
    return Fail(Errc::kCorrupt, "a trailer of another length");
  }
  const std::size_t checked = all.size() - kFixedBytes + kCheck;
  if (XXH3_64bits(all.data(), checked) != Take<std::uint64_t>(all, checked)) {
    return Fail(Errc::kCorrupt, "a trailer that does not match its own sum");
  }
  for (std::size_t i = 0; i < trailer->sums.size(); ++i) {
    trailer->sums[i] = Take<std::uint64_t>(all, i * 8);
  }
  return trailer;
}

}  // namespace modelfs::index::shared
