#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

/// Readers who only look at the bytes, where they are.
class BorrowTest : public CacheFixture {
 protected:
  void SetUp() override { OpenCache(); }

  struct Borrowed {
    std::vector<std::byte> bytes;
    bool in_place = false;  ///< Not in the reader's own memory.
  };

  static std::future<Result<Borrowed>> StartBorrow(
      const std::shared_ptr<index::CachedObject>& object, std::uint64_t offset, std::size_t size) {
    auto promise = std::make_shared<std::promise<Result<Borrowed>>>();
    auto own = std::make_shared<std::vector<std::byte>>(size);
    object->Borrow(offset, *own, [promise, own](Result<std::span<const std::byte>> got) {
      if (!got) return promise->set_value(std::unexpected(std::move(got.error())));
      promise->set_value(
          Borrowed{.bytes = {got->begin(), got->end()}, .in_place = got->data() != own->data()});
    });
    return promise->get_future();
  }
};

TEST_F(BorrowTest, WhatArrivesIsLentWhereItArrived) {
  const auto bytes = MakeBytes(1, 4 * kChunk + 100);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  const auto got = Await(StartBorrow(object, 2 * kChunk + 10, 1000));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes, Part(bytes, 2 * kChunk + 10, 1000));
}

TEST_F(BorrowTest, WhatLiesInTwoChunksIsPutTogether) {
  const auto bytes = MakeBytes(2, 3 * kChunk);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  const auto got = Await(StartBorrow(object, kChunk - 10, kChunk + 20));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->bytes, Part(bytes, kChunk - 10, kChunk + 20));
  EXPECT_FALSE(got->in_place);
}

TEST_F(BorrowTest, ShortAtTheEndAndEmptyBehindIt) {
  const auto bytes = MakeBytes(3, kChunk + 100);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  EXPECT_EQ(Await(StartBorrow(object, kChunk + 50, 1000))->bytes, Part(bytes, kChunk + 50, 50));
  EXPECT_TRUE(Await(StartBorrow(object, kChunk + 100, 10))->bytes.empty());
}

TEST_F(BorrowTest, WhatNobodyHasReadYetIsInMemoryUntilItIsRead) {
  const auto bytes = MakeBytes(4, 2 * kChunk);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  EXPECT_FALSE(object->TryBorrowNow(0, 10));
  ASSERT_TRUE(FetchAll(object));
  const auto lent = object->TryBorrowNow(100, kChunk - 100);
  ASSERT_TRUE(lent);
  EXPECT_TRUE(std::ranges::equal(lent->bytes, Part(bytes, 100, kChunk - 100)));
  EXPECT_FALSE(object->TryBorrowNow(kChunk - 5, 10));  // Not in one piece.
  const auto rest = object->TryBorrowNow(0, 100);
  ASSERT_TRUE(rest);
  EXPECT_FALSE(object->TryBorrowNow(0, 100));  // All of it was read.
  EXPECT_TRUE(std::ranges::equal(lent->bytes, Part(bytes, 100, kChunk - 100)));  // Held, still.
  EXPECT_EQ(Await(StartBorrow(object, 0, 100))->bytes, Part(bytes, 0, 100));
  EXPECT_EQ(cache_->Stats().fetched_bytes, bytes.size());
}

TEST_F(BorrowTest, MemoryGoesBackWithTheLastReader) {
  auto options = MakeOptions();
  options.check_interval = std::chrono::hours(1);  // Nothing goes for being old.
  OpenCache(options);
  const auto bytes = MakeBytes(5, 4 * kChunk);
  origin_->Put("m", bytes);
  auto object = Get("m");
  ASSERT_TRUE(FetchAll(object));
  EXPECT_GT(cache_->Stats().buffer_bytes, 0u);
  object.reset();
  EXPECT_TRUE(Eventually([&] { return cache_->Stats().buffer_bytes == 0; }));
}

}  // namespace
}  // namespace modelfs::test
