#include "index/layout/byte_window.h"

#include <gtest/gtest.h>

#include <string>

namespace modelfs::index {
namespace {

std::string Ahead(const ByteWindow& window) {
  const auto bytes = window.ahead();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool Add(ByteWindow& window, const std::string& text) {
  return window.Add(std::as_bytes(std::span(text)));
}

TEST(ByteWindowTest, KeepsWhatItHasNotPassed) {
  ByteWindow window(10);
  EXPECT_EQ(window.Next(4), (ByteRange{0, 4}));
  ASSERT_TRUE(Add(window, "abcd"));
  EXPECT_TRUE(window.Skip(3));
  EXPECT_EQ(window.Next(4), (ByteRange{4, 8}));
  ASSERT_TRUE(Add(window, "efgh"));
  EXPECT_EQ(Ahead(window), "defgh");
  EXPECT_EQ(window.position(), 3u);
  EXPECT_EQ(window.Next(4), (ByteRange{8, 10}));
  ASSERT_TRUE(Add(window, "ij"));
  EXPECT_EQ(Ahead(window), "defghij");
  EXPECT_EQ(window.Next(4), std::nullopt);
}

TEST(ByteWindowTest, JumpsOverWhatItNeverAskedFor) {
  ByteWindow window(1000);
  ASSERT_TRUE(window.Next(4));
  ASSERT_TRUE(Add(window, "abcd"));
  EXPECT_TRUE(window.Skip(500));
  EXPECT_TRUE(window.jumped());
  EXPECT_EQ(Ahead(window), "");
  EXPECT_EQ(window.Next(4), (ByteRange{500, 504}));
  ASSERT_TRUE(Add(window, "efgh"));
  EXPECT_FALSE(window.jumped());
  EXPECT_EQ(Ahead(window), "efgh");
  EXPECT_FALSE(window.Skip(501));
  EXPECT_EQ(window.position(), 500u);
  EXPECT_TRUE(window.Skip(500));
  EXPECT_EQ(window.Next(4), std::nullopt);
}

TEST(ByteWindowTest, RefusesWhatItDidNotAskFor) {
  ByteWindow window(10);
  EXPECT_FALSE(Add(window, "ab"));
  ASSERT_TRUE(window.Next(3));
  EXPECT_FALSE(Add(window, "ab"));
  EXPECT_TRUE(Add(window, "abc"));
  EXPECT_FALSE(Add(window, "abc"));
}

TEST(ByteWindowTest, AsksForNoMoreThanOneFileMayCost) {
  ByteWindow window(kMostLayoutBytes * 3);
  ASSERT_EQ(window.Next(kMostLayoutBytes - 3), (ByteRange{0, kMostLayoutBytes - 3}));
  ASSERT_TRUE(window.Add(std::vector<std::byte>(kMostLayoutBytes - 3)));
  ASSERT_TRUE(window.Skip(kMostLayoutBytes * 2));
  EXPECT_EQ(window.Next(8), ByteRange::At(kMostLayoutBytes * 2, 3));
  ASSERT_TRUE(Add(window, "abc"));
  EXPECT_EQ(window.Next(8), std::nullopt);
}

}  // namespace
}  // namespace modelfs::index
