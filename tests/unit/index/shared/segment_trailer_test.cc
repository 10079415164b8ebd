#include "index/shared/segment_trailer.h"

#include <gtest/gtest.h>

#include "index/shared/segment_layout.h"

namespace modelfs::test {
namespace {

using namespace index::shared;

SegmentTrailer Sample() {
  SegmentTrailer trailer{
      .oid = Sha256("x"), .index = 7, .length_bytes = 10'000, .block_bytes = 4096};
  trailer.sums = {1, 2, 0xfedcba9876543210};
  return trailer;
}

TEST(SegmentTrailerTest, ComesBackAsItWas) {
  const SegmentTrailer trailer = Sample();
  const auto bytes = trailer.Encode();
  EXPECT_EQ(bytes.size(), 3 * 8 + SegmentTrailer::kFixedBytes);
  const auto back = SegmentTrailer::Decode(bytes, trailer.file_bytes());
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(back->oid, trailer.oid);
  EXPECT_EQ(back->index, 7u);
  EXPECT_EQ(back->length_bytes, 10'000u);
  EXPECT_EQ(back->block_bytes, 4096u);
  EXPECT_EQ(back->sums, trailer.sums);
}

TEST(SegmentTrailerTest, AnyByteThatDiffersIsFoundOut) {
  const SegmentTrailer trailer = Sample();
  const auto good = trailer.Encode();
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= std::byte{1};
    EXPECT_FALSE(SegmentTrailer::Decode(bad, trailer.file_bytes())) << i;
  }
  EXPECT_FALSE(SegmentTrailer::Decode(good, trailer.file_bytes() + 1));
  EXPECT_FALSE(SegmentTrailer::Decode(std::span(good).subspan(8), trailer.file_bytes()));
  EXPECT_FALSE(SegmentTrailer::Decode({}, 0));
}

TEST(SegmentLayoutTest, SmallObjectsHaveSmallSegments) {
  constexpr std::uint64_t kMost = 64u << 20;
  EXPECT_EQ(SegmentLayout(std::uint64_t{10} << 30, kMost).segment_bytes(), kMost);
  EXPECT_EQ(SegmentLayout(std::uint64_t{256} << 20, kMost).segment_bytes(), 16u << 20);
  EXPECT_EQ(SegmentLayout(1000, kMost).segment_bytes(), 8u << 20);
  EXPECT_EQ(SegmentLayout(1000, kMost).count(), 1u);
  EXPECT_EQ(SegmentLayout(0, kMost).count(), 0u);
  EXPECT_EQ(SegmentLayout(std::uint64_t{10} << 30, 1u << 20).segment_bytes(), 1u << 20);
  const SegmentLayout layout((std::uint64_t{256} << 20) + 5, kMost);
  EXPECT_EQ(layout.count(), 17u);
  EXPECT_EQ(layout.RangeOf(16).size(), 5u);
  EXPECT_EQ(layout.IndexOf(layout.RangeOf(16).begin), 16u);
}

}  // namespace
}  // namespace modelfs::test
