#include "index/space.h"

#include <gtest/gtest.h>

#include <memory>

namespace modelfs::index {
namespace {

constexpr std::uint64_t kLimit = 1000;
constexpr std::uint64_t kPlenty = 1u << 30;

class SpaceTest : public testing::Test {
 protected:
  SpaceTest() { space_->SetLimits({.size_bytes = kLimit}); }

  SpaceReservation Reserve(std::uint64_t bytes) {
    auto room = space_->TryReserve(bytes, kPlenty);
    EXPECT_TRUE(room);
    return room ? std::move(*room) : SpaceReservation();
  }
  std::uint64_t Left() const { return kLimit - space_->totals().allocated_bytes; }

  const std::shared_ptr<Space> space_ = std::make_shared<Space>();
};

TEST_F(SpaceTest, WhatIsReservedCounts) {
  const auto room = Reserve(600);
  EXPECT_FALSE(space_->TryReserve(401, kPlenty));
  EXPECT_TRUE(space_->TryReserve(400, kPlenty));
}

TEST_F(SpaceTest, WhatIsReservedForWrittenBlocksIsGivenBackAsTheyAreCounted) {
  space_->Settle("a", 250, 1, Reserve(300), false);
  EXPECT_EQ(space_->totals().allocated_bytes, 250u);
  EXPECT_EQ(space_->Missing(Left(), kPlenty), 0u);
}

TEST_F(SpaceTest, BlocksOfWritesUnderWayAreNotCountedTwice) {
  auto first = Reserve(500);
  auto second = Reserve(500);
  // Both are on disk, and one is settled: the blocks of the other are reserved still.
  space_->Settle("a", 960, 1, std::move(first), true);
  EXPECT_EQ(space_->Missing(0, kPlenty), 0u);
  space_->Settle("a", 960, 2, std::move(second), false);
  EXPECT_EQ(space_->totals().allocated_bytes, 960u);
  EXPECT_EQ(space_->Missing(0, kPlenty), 0u);
}

TEST_F(SpaceTest, MoreThanWasReservedIsSeenInTheEnd) {
  space_->Settle("a", 700, 1, Reserve(500), true);
  EXPECT_EQ(space_->totals().allocated_bytes, 500u);
  space_->Settle("a", 1100, 1, Reserve(300), false);
  EXPECT_EQ(space_->totals().allocated_bytes, 1100u);
  EXPECT_EQ(space_->Missing(0, kPlenty), 100u);
}

TEST_F(SpaceTest, FreeFloorCountsToo) {
  space_->SetLimits({.free_floor_bytes = 100});
  EXPECT_FALSE(space_->TryReserve(51, 150));
  EXPECT_TRUE(space_->TryReserve(50, 150));
}

}  // namespace
}  // namespace modelfs::index
