#include "index/layout/shard_index_layout.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::index {
namespace {

test::LayoutWalk Walk(const std::string& text) {
  auto walk = test::WalkLayout("model.safetensors.index.json", test::SparseFile(text));
  EXPECT_EQ(walk.broken, "") << text.substr(0, 200);
  return walk;
}

TEST(ShardIndexLayoutTest, GivesShardsByNameEachOnce) {
  const std::string text = R"({"metadata":{"total_size":1,"x":["weight_map"]},"weight_map":
      {"a":"m-00002-of-00003.safetensors","b":"m-00001-of-00003.safetensors",
       "c":"sub/m-00003-of-00003.safetensors","d":"m-00002-of-00003.safetensors"}})";
  const Layout layout = Walk(text).layout();
  EXPECT_EQ(layout.siblings, (std::vector<std::string>{"m-00001-of-00003.safetensors",
                                                       "m-00002-of-00003.safetensors",
                                                       "sub/m-00003-of-00003.safetensors"}));
  EXPECT_EQ(layout.parts, (std::vector<ByteRange>{{0, text.size()}}));
}

TEST(ShardIndexLayoutTest, TakesTheIndexOfPickledShardsToo) {
  const auto walk = test::WalkLayout("pytorch_model.bin.index.json",
                                     test::SparseFile(R"({"weight_map":{"a":"b.bin"}})"));
  EXPECT_EQ(walk.layout().siblings, std::vector<std::string>{"b.bin"});
}

TEST(ShardIndexLayoutTest, DoubtsAShardElsewhere) {
  for (const char* const shard :
       {"", "/etc/passwd", "../m", "a/../../m", "a//b", "./m", "a\\u0000b"}) {
    EXPECT_TRUE(Walk(std::string(R"({"weight_map":{"ok":"a","bad":")") + shard + "\"}}").doubted())
        << shard;
  }
}

TEST(ShardIndexLayoutTest, DoubtsWhatIsNoIndex) {
  for (const char* const text :
       {"{}", "[]", "x", "null", R"({"weight_map":[]})", R"({"weight_map":"a"})",
        R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":["b"]}})", R"({"weight_map":{"a":{}}})",
        R"({"weight_map":{"a":null}})", R"({"x":{"weight_map":{"a":"b"}}})",
        R"({"weight_map":{"a":"b"})"}) {
    EXPECT_TRUE(Walk(text).doubted()) << text;
  }
}

TEST(ShardIndexLayoutTest, DoubtsTooMuch) {
  const auto walk = test::WalkLayout("a.bin.index.json", test::SparseFile(kMostLayoutBytes + 1));
  EXPECT_TRUE(walk.doubted());
  EXPECT_TRUE(walk.needs.empty());
  std::string many = "{\"weight_map\":{";
  for (std::size_t i = 0; i <= kMostLayoutSiblings; ++i) {
    many += fmt::format(R"({}"{}":"{}")", i == 0 ? "" : ",", i, i);
  }
  EXPECT_TRUE(Walk(many + "}}").doubted());
}

}  // namespace
}  // namespace modelfs::index
