#include "index/buffer_pool.h"

#include <gtest/gtest.h>

#include <optional>

namespace modelfs::index {
namespace {

constexpr std::uint64_t kSize = 4096;

class BufferPoolTest : public ::testing::Test {
 protected:
  std::shared_ptr<BufferPool> Make(std::uint64_t buffers) {
    return std::make_shared<BufferPool>(
        kSize, buffers * kSize,
        [this](std::move_only_function<void()> task) { posted_.push_back(std::move(task)); },
        [this] { ++room_; });
  }
  void RunPosted() {
    while (!posted_.empty()) {
      auto task = std::move(posted_.front());
      posted_.pop_front();
      task();
    }
  }
  std::deque<std::move_only_function<void()>> posted_;
  int room_ = 0;
};

TEST_F(BufferPoolTest, GrantsAtOnceWhileThereIsRoom) {
  auto pool = Make(4);
  std::optional<Reservation> got;
  pool->Reserve(3, [&](Reservation r) { got = std::move(r); });
  ASSERT_TRUE(got);
  EXPECT_EQ(got->count(), 3u);
  Buffer buffer = got->Take();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 4096, 0u);
  EXPECT_EQ(got->count(), 2u);
  EXPECT_EQ(pool->used_bytes(), kSize);
}

TEST_F(BufferPoolTest, QueuesInOrderUntilBuffersComeBack) {
  auto pool = Make(2);
  std::optional<Reservation> first;
  std::vector<int> order;
  std::vector<Reservation> kept;
  pool->Reserve(2, [&](Reservation r) { first = std::move(r); });
  pool->Reserve(2, [&](Reservation r) {
    order.push_back(2);
    kept.push_back(std::move(r));
  });
  pool->Reserve(1, [&](Reservation r) {
    order.push_back(1);
    kept.push_back(std::move(r));
  });
  {
    const Buffer buffer = first->Take();
  }  // One back is not enough for the first in the queue.
  RunPosted();
  EXPECT_TRUE(order.empty());
  first.reset();
  RunPosted();
  EXPECT_EQ(order, (std::vector{2}));
  kept.clear();
  RunPosted();
  EXPECT_EQ(order, (std::vector{2, 1}));
}

TEST_F(BufferPoolTest, ReadAheadLeavesAQuarterAndYieldsToReaders) {
  auto pool = Make(8);
  const Reservation ahead = pool->TryReserve(100);
  EXPECT_EQ(ahead.count(), 6u);
  EXPECT_EQ(pool->TryReserve(1).count(), 0u);
  std::optional<Reservation> reader;
  pool->Reserve(2, [&](Reservation r) { reader = std::move(r); });
  EXPECT_TRUE(reader);
}

TEST_F(BufferPoolTest, TellsWhoWasRefusedWhenThereIsRoom) {
  auto pool = Make(4);
  std::optional<Reservation> all = pool->TryReserve(3);
  EXPECT_EQ(pool->TryReserve(1).count(), 0u);
  all.reset();
  RunPosted();
  EXPECT_EQ(room_, 1);
  EXPECT_EQ(pool->TryReserve(1).count(), 1u);
}

TEST_F(BufferPoolTest, RequestForMoreThanTheLimitIsCut) {
  auto pool = Make(2);
  std::optional<Reservation> got;
  pool->Reserve(50, [&](Reservation r) { got = std::move(r); });
  EXPECT_EQ(got->count(), 2u);
}

TEST_F(BufferPoolTest, CloseGrantsNothingToThoseWhoWait) {
  auto pool = Make(1);
  std::optional<Reservation> first;
  std::vector<std::size_t> counts;
  pool->Reserve(1, [&](Reservation r) { first = std::move(r); });
  pool->Reserve(1, [&](Reservation r) { counts.push_back(r.count()); });
  pool->Close();
  pool->Reserve(1, [&](Reservation r) { counts.push_back(r.count()); });
  EXPECT_EQ(counts, (std::vector<std::size_t>{0, 0}));
  EXPECT_EQ(pool->TryReserve(1).count(), 0u);
}

TEST_F(BufferPoolTest, BuffersMayOutliveTheirOwner) {
  auto pool = Make(2);
  std::optional<Reservation> got;
  pool->Reserve(1, [&](Reservation r) { got = std::move(r); });
  Buffer buffer = got->Take();
  got.reset();
  pool.reset();
  buffer.data()[0] = std::byte{1};
}

}  // namespace
}  // namespace modelfs::index
