#include "index/access_profile.h"

#include <gtest/gtest.h>

#include <random>

namespace modelfs::index {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

AccessProfile Some() {
  return {.object_bytes = 64 * kMiB,
          .ranges = {{10 * kMiB, 12 * kMiB}, {0, 1}, {63 * kMiB, 64 * kMiB}}};
}

TEST(AccessProfileTest, IsReadBackAsItWas) {
  const auto read = AccessProfile::Decode(Some().Encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->object_bytes, 64 * kMiB);
  EXPECT_EQ(read->ranges, Some().ranges);
}

TEST(AccessProfileTest, NonsenseIsNone) {
  const std::string good = Some().Encode();
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_FALSE(AccessProfile::Decode(good.substr(0, cut))) << cut;
  }
  EXPECT_FALSE(AccessProfile::Decode(good + "x"));
  AccessProfile beyond = Some();
  beyond.ranges.push_back({64 * kMiB, 64 * kMiB + 1});
  EXPECT_FALSE(AccessProfile::Decode(beyond.Encode()));
  beyond.ranges.back() = {5, 5};
  EXPECT_FALSE(AccessProfile::Decode(beyond.Encode())) << "an empty range";
  std::mt19937 random(7);
  for (int i = 0; i < 10'000; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] = static_cast<char>(random());
    if (const auto read = AccessProfile::Decode(bad)) {
      for (const ByteRange& range : read->ranges) {
        EXPECT_TRUE(!range.empty() && range.end <= read->object_bytes);
      }
    }
  }
}

TEST(AccessProfileTest, NextVersionHasTheSameLayoutKey) {
  const fetch::ObjectId one{
      .domain = "d", .source = "s", .key = "1/a/model.bin", .tag = "x", .size_bytes = 5};
  const fetch::ObjectId two{
      .domain = "d", .source = "s", .key = "2/b/model.bin", .tag = "y", .size_bytes = 5};
  EXPECT_EQ(AccessProfile::LayoutKeyOf(one), AccessProfile::LayoutKeyOf(two));
  EXPECT_NE(AccessProfile::KeyOf(one), AccessProfile::KeyOf(two));
  const fetch::ObjectId other{
      .domain = "e", .source = "s", .key = "2/b/model.bin", .tag = "y", .size_bytes = 5};
  EXPECT_NE(AccessProfile::LayoutKeyOf(one), AccessProfile::LayoutKeyOf(other));
}

TEST(ProfileRecorderTest, KeepsTheOrderOfFirstTouch) {
  ProfileRecorder recorder(64 * kMiB, kMiB);
  recorder.Note({32 * kMiB, 40 * kMiB});
  recorder.Note({4 * kMiB, 8 * kMiB});
  recorder.Note({32 * kMiB, 33 * kMiB});
  recorder.Note({40 * kMiB, 41 * kMiB});
  const auto profile = recorder.Profile({});
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->ranges,
            (std::vector<ByteRange>{
                {32 * kMiB, 40 * kMiB}, {4 * kMiB, 8 * kMiB}, {40 * kMiB, 41 * kMiB}}));
}

TEST(ProfileRecorderTest, PartsThatWereOnlyReadAheadDoNotCount) {
  ProfileRecorder recorder(64 * kMiB, kMiB);
  const std::vector<ByteRange> parts{
      {0, 1000}, {1000, 8 * kMiB}, {8 * kMiB, 16 * kMiB}, {16 * kMiB, 64 * kMiB}};
  recorder.Note({0, kMiB});
  recorder.Note({8 * kMiB, 17 * kMiB});  // The kernel went on for a MiB.
  const auto profile = recorder.Profile(parts);
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->ranges, (std::vector<ByteRange>{{0, 1000}, {8 * kMiB, 16 * kMiB}}));
}

TEST(ProfileRecorderTest, SlicesOfAllPartsAreKeptAsTheyAre) {
  ProfileRecorder recorder(64 * kMiB, kMiB);
  for (std::uint64_t at = 0; at < 64 * kMiB; at += kMiB / 2)
    recorder.Note(ByteRange::At(at, 64 << 10));
  const auto profile = recorder.Profile({{0, 32 * kMiB}, {32 * kMiB, 64 * kMiB}});
  ASSERT_TRUE(profile);
  EXPECT_EQ(profile->ranges, (std::vector<ByteRange>{{0, 64 * kMiB}}));
}

TEST(ProfileRecorderTest, LittleIsNothing) {
  ProfileRecorder recorder(64 * kMiB, kMiB);
  recorder.Note({0, kMiB});
  EXPECT_FALSE(recorder.Profile({}));
}

}  // namespace
}  // namespace modelfs::index
