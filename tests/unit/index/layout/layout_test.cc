#include "index/layout/layout.h"

#include <gtest/gtest.h>

#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::index {
namespace {

bool Doubted(const LayoutStep& step) { return std::holds_alternative<LayoutDoubt>(step); }

TEST(LayoutTest, SortsPartsAndLeavesOutEmptyOnes) {
  const auto step = MakeLayout({{5, 9}, {3, 3}, {0, 5}, {9, 9}}, 10, {"b", "a"});
  const auto* layout = std::get_if<Layout>(&step);
  ASSERT_NE(layout, nullptr);
  EXPECT_EQ(layout->parts, (std::vector<ByteRange>{{0, 5}, {5, 9}}));
  EXPECT_EQ(layout->siblings, (std::vector<std::string>{"b", "a"}));
}

TEST(LayoutTest, DoubtsPartsThatOverlapOrLeaveTheFile) {
  EXPECT_TRUE(Doubted(MakeLayout({{0, 5}, {4, 6}}, 10)));
  EXPECT_TRUE(Doubted(MakeLayout({{0, 5}, {0, 5}}, 10)));
  EXPECT_TRUE(Doubted(MakeLayout({{0, 11}}, 10)));
  EXPECT_TRUE(Doubted(MakeLayout({{6, 5}}, 10)));
  EXPECT_TRUE(Doubted(MakeLayout({{0, 1}}, 0)));
}

TEST(LayoutTest, DoubtsMoreThanItMayKeep) {
  std::vector<ByteRange> parts;
  for (std::uint64_t i = 0; i <= kMostLayoutParts; ++i) parts.push_back({i, i + 1});
  EXPECT_TRUE(Doubted(MakeLayout(parts, parts.size())));
  parts.pop_back();
  EXPECT_FALSE(Doubted(MakeLayout(parts, parts.size())));
  EXPECT_TRUE(Doubted(MakeLayout({}, 1, std::vector<std::string>(kMostLayoutSiblings + 1, "a"))));
}

}  // namespace
}  // namespace modelfs::index
