#include "index/unread_chunks.h"

#include <gtest/gtest.h>

#include <memory>

#include "index/flight.h"

namespace modelfs::index {
namespace {

constexpr std::uint64_t kSize = 100;

class UnreadChunksTest : public testing::Test {
 protected:
  UnreadChunksTest() { unread_.SetLimit(2); }

  static std::shared_ptr<ChunkLoad> Load(std::uint64_t chunk) {
    auto load = std::make_shared<ChunkLoad>();
    load->chunk = chunk;
    load->size_bytes = kSize;
    return load;
  }

  UnreadChunks unread_;
  const int a_ = 0;
  const int b_ = 0;
};

TEST_F(UnreadChunksTest, ThereAreNoMorePlacesThanTheLimit) {
  auto first = unread_.TryTake();
  auto second = unread_.TryTake();
  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(unread_.TryTake());
  first = {};
  EXPECT_TRUE(unread_.TryTake());
}

TEST_F(UnreadChunksTest, OneIsLetGoOfWhenAllOfItWasRead) {
  const auto load = Load(7);
  unread_.Keep(&a_, load, 10, unread_.TryTake());
  EXPECT_TRUE(unread_.Holds(&a_, 6, 7));
  EXPECT_EQ(unread_.Read(&a_, 7, 60), load);
  EXPECT_TRUE(unread_.Holds(&a_, 7, 7));
  EXPECT_EQ(unread_.Read(&a_, 7, 30), load);  // The last of it is given out, too.
  EXPECT_FALSE(unread_.Holds(&a_, 0, 100));
  EXPECT_EQ(unread_.Read(&a_, 7, 1), nullptr);
  auto first = unread_.TryTake();
  EXPECT_TRUE(first);
  EXPECT_TRUE(unread_.TryTake());  // Its place is free again.
}

TEST_F(UnreadChunksTest, WhatWasReadAlreadyOrHasNoPlaceIsNotKept) {
  unread_.Keep(&a_, Load(1), kSize, unread_.TryTake());
  unread_.Keep(&a_, Load(2), 0, {});
  EXPECT_FALSE(unread_.Holds(&a_, 0, 10));
}

TEST_F(UnreadChunksTest, AnotherOneOfTheSameChunkTakesItsPlace) {
  const auto second = Load(1);
  unread_.Keep(&a_, Load(1), 0, unread_.TryTake());
  unread_.Keep(&a_, second, 0, unread_.TryTake());
  EXPECT_EQ(unread_.Read(&a_, 1, 1), second);
  unread_.Keep(&a_, Load(1), kSize, {});  // Came again, and was read as it came.
  EXPECT_EQ(unread_.Read(&a_, 1, 1), nullptr);
}

TEST_F(UnreadChunksTest, ObjectsDoNotMix) {
  unread_.Keep(&a_, Load(1), 0, unread_.TryTake());
  unread_.Keep(&b_, Load(2), 0, unread_.TryTake());
  EXPECT_FALSE(unread_.Holds(&a_, 2, 9));
  EXPECT_EQ(unread_.Read(&b_, 1, 1), nullptr);
  unread_.DropAll(&a_);
  EXPECT_FALSE(unread_.Holds(&a_, 0, 9));
  EXPECT_TRUE(unread_.Holds(&b_, 0, 9));
}

TEST_F(UnreadChunksTest, TheyGoAfterAMoment) {
  const auto now = UnreadChunks::Clock::now();
  unread_.Keep(&a_, Load(1), 0, unread_.TryTake());
  unread_.Expire(now + UnreadChunks::kKept - std::chrono::seconds(1));
  EXPECT_TRUE(unread_.Holds(&a_, 1, 1));
  unread_.Expire(now + UnreadChunks::kKept + std::chrono::seconds(60));
  EXPECT_FALSE(unread_.Holds(&a_, 1, 1));
}

}  // namespace
}  // namespace modelfs::index
