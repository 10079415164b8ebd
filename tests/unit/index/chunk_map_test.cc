#include "index/chunk_map.h"

#include <gtest/gtest.h>

namespace modelfs::index {
namespace {

TEST(ChunkMapTest, CountsWhatIsPresent) {
  ChunkMap map(10 * 1024 + 1, 1024);
  EXPECT_EQ(map.count(), 11u);
  EXPECT_EQ(map.RangeOf(10).size(), 1u);
  map.Restore(10, 7);
  map.Move(0, ChunkState::kFetching);
  EXPECT_EQ(map.present_bytes(), 1u);
  map.Move(0, ChunkState::kPresent);
  EXPECT_EQ(map.present_bytes(), 1025u);
  EXPECT_EQ(map.present_chunks(), 2u);
  map.Move(10, ChunkState::kAbsent);
  EXPECT_EQ(map.present_bytes(), 1024u);
}

TEST(ChunkMapTest, IsReadyOnlyWhenPresentAndChecked) {
  ChunkMap map(4096, 1024);
  map.MarkChecked(0);
  EXPECT_FALSE(map.Ready(0));
  map.Restore(0, 1);
  EXPECT_FALSE(map.Ready(0));
  map.MarkChecked(0);
  EXPECT_TRUE(map.Ready(0));
  map.Move(0, ChunkState::kAbsent);
  EXPECT_FALSE(map.Ready(0));
}

TEST(ChunkMapDeathTest, RefusesAMoveThatIsNotInTheTable) {
  ChunkMap map(4096, 1024);
  EXPECT_DEATH(map.Move(0, ChunkState::kPresent), "");
}

TEST(ChunkMapTest, OfAnEmptyObjectIsWhole) { EXPECT_TRUE(ChunkMap(0, 1024).whole()); }

}  // namespace
}  // namespace modelfs::index
