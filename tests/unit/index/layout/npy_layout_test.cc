#include "index/layout/npy_layout.h"

#include <gtest/gtest.h>

#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::index {
namespace {

test::LayoutWalk Walk(const std::string& head, std::uint64_t size_bytes) {
  test::SparseFile file(size_bytes);
  file.Put(0, head);
  auto walk = test::WalkLayout("a.npy", file);
  EXPECT_EQ(walk.broken, "");
  return walk;
}

TEST(NpyLayoutTest, SplitsHeaderAndArray) {
  EXPECT_EQ(Walk(std::string("\x93NUMPY\x01\x00\x76\x00", 10), 1000).layout().parts,
            (std::vector<ByteRange>{{0, 128}, {128, 1000}}));
  EXPECT_EQ(Walk(std::string("\x93NUMPY\x03\x00\x74\x00\x00\x00", 12), 1000).layout().parts,
            (std::vector<ByteRange>{{0, 128}, {128, 1000}}));
  EXPECT_EQ(Walk(std::string("\x93NUMPY\x01\x00\x76\x00", 10), 128).layout().parts,
            (std::vector<ByteRange>{{0, 128}}));
}

TEST(NpyLayoutTest, DoubtsWhatIsNone) {
  EXPECT_TRUE(Walk(std::string("\x93NUMPX\x01\x00\x76\x00", 10), 1000).doubted());
  EXPECT_TRUE(Walk(std::string("\x93NUMPY\x00\x00\x76\x00", 10), 1000).doubted());
  EXPECT_TRUE(Walk(std::string("\x93NUMPY\x04\x00\x76\x00", 10), 1000).doubted());
  EXPECT_TRUE(Walk(std::string("\x93NUMPY\x01\x00\x76\x00", 10), 127).doubted());
  EXPECT_TRUE(
      Walk(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12), std::uint64_t{1} << 33).doubted());
  EXPECT_TRUE(Walk("", 11).doubted());
}

}  // namespace
}  // namespace modelfs::index
