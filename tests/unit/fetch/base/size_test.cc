#include "fetch/base/size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace modelfs {
namespace {

TEST(ParseSize, TakesTheDocumentedForms) {
  EXPECT_EQ(ParseSize("0"), 0u);
  EXPECT_EQ(ParseSize("1048576"), 1048576u);
  EXPECT_EQ(ParseSize("823B"), 823u);
  EXPECT_EQ(ParseSize("64MiB"), 64 * kMiB);
  EXPECT_EQ(ParseSize("200GiB"), 200 * kGiB);
  EXPECT_EQ(ParseSize("1.5 GiB"), kGiB + kGiB / 2);
  EXPECT_EQ(ParseSize("2TiB"), 2048 * kGiB);
  EXPECT_EQ(ParseSize("4kB"), 4000u);
  EXPECT_EQ(ParseSize("1.25MB"), 1250000u);
  EXPECT_EQ(ParseSize("3GB"), 3000000000u);
  EXPECT_EQ(ParseSize("1TB"), 1000000000000u);
  EXPECT_EQ(ParseSize("64mib"), 64 * kMiB);
  EXPECT_EQ(ParseSize("18446744073709551615"), 18446744073709551615u);
  EXPECT_EQ(ParseSize("0.3333333333333333333333 KiB"), 341u);
}

TEST(ParseSize, RefusesTheRestAndSaysWhatItTakes) {
  for (const char* text : {"", " ", "MiB", "-1", "+1", "1.5", "1.", ".5GiB", "1,5GiB", "12 apples",
                           "1e9", "1GiBs", "0x10", " 1", "1 GiB ", "18446744073709551616",
                           "17000000TiB", "99999999999999999999999999"}) {
    const Result<std::uint64_t> size = ParseSize(text);
    ASSERT_FALSE(size) << text << " gave " << *size;
    EXPECT_EQ(size.error().code, Errc::kInvalid);
    EXPECT_THAT(size.error().what, testing::HasSubstr("64MiB"));
  }
}

TEST(FormatSize, HasThreeSignificantDigits) {
  EXPECT_EQ(FormatSize(0), "0 B");
  EXPECT_EQ(FormatSize(823), "823 B");
  EXPECT_EQ(FormatSize(1024), "1 KiB");
  EXPECT_EQ(FormatSize(kGiB + kGiB / 2), "1.5 GiB");
  EXPECT_EQ(FormatSize(1'234'567), "1.18 MiB");
  EXPECT_EQ(FormatSize(12'345'678), "11.8 MiB");
  EXPECT_EQ(FormatSize(123'456'789), "118 MiB");
  EXPECT_EQ(FormatSize(kGiB - 1), "1 GiB");
  EXPECT_EQ(FormatSize(10 * kMiB), "10 MiB");
  EXPECT_EQ(FormatSize(~std::uint64_t{0}), "16 EiB");
}

}  // namespace
}  // namespace modelfs
