#include "fetch/http/content_range.h"

#include <gtest/gtest.h>

#include <string>

namespace modelfs::fetch {
namespace {

TEST(ContentRange, Parses) {
  const auto range = ParseContentRange("bytes 0-99/1234");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->range, (ByteRange{0, 100}));
  EXPECT_EQ(range->total_bytes, 1234u);
  EXPECT_TRUE(
      ParseContentRange("bytes 18446744073709551613-18446744073709551614/18446744073709551615"));
  for (const char* text :
       {"", "bytes", "bytes 0-0/0", "bytes 5-4/10", "bytes 0-10/10", "bytes 0-9/10x", "bytes 0-9",
        "bytes 0-18446744073709551615/18446744073709551615", "bytes 0-99999999999999999999/5",
        "bytes=0-9/10", "Bytes 0-9/10", "bytes  0-9/10", "bytes +0-9/10"}) {
    EXPECT_FALSE(ParseContentRange(text)) << text;
  }
}

HttpResponse Partial(std::string range, std::string length) {
  HttpResponse head;
  head.status = 206;
  head.headers = {{"content-range", std::move(range)}};
  if (!length.empty()) head.headers.emplace_back("content-length", std::move(length));
  return head;
}

TEST(StatedRange, NeedsALengthThatIsThatOfTheRange) {
  EXPECT_TRUE(StatedRange(Partial("bytes 3-9/40", "7")));
  EXPECT_TRUE(StatedRange(Partial("bytes 3-9/40", "")));  // In chunks.
  for (const char* length : {"8", "6", "0", "40", "-7", "7 ", "07", "x"}) {
    const auto stated = StatedRange(Partial("bytes 3-9/40", length));
    ASSERT_FALSE(stated) << length;
    EXPECT_NE(stated.error().find(length), std::string::npos) << stated.error();
  }
}

TEST(NotAskedFor, AllowsLessButNoOtherStart) {
  const ContentRange got{.range = {3, 10}, .total_bytes = 40};
  EXPECT_FALSE(NotAskedFor(got, {3, 10}));
  EXPECT_FALSE(NotAskedFor(got, {3, 20}));
  EXPECT_TRUE(NotAskedFor(got, {3, 9}));
  EXPECT_TRUE(NotAskedFor(got, {2, 10}));
  EXPECT_TRUE(NotAskedFor(got, {4, 10}));
}

}  // namespace
}  // namespace modelfs::fetch
