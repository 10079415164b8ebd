#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "tests/support/faulty_origin.h"
#include "tests/support/script_fault_points.h"
#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using Streams = FakeOrigin::Streams;

/// Objects that their origin gives only as a whole.
class StreamTest : public CacheFixture, public ::testing::WithParamInterface<Streams> {
 protected:
  void SetUp() override {
    origin_->OnlyStreams(GetParam());
    origin_->Put("m", bytes_);
    OpenCache();
  }
  const std::vector<std::byte> bytes_ = MakeBytes(11, 40 * kChunk + 77);
};

TEST_P(StreamTest, ReadersAreServedFromWhatHasArrived) {
  origin_->Hold();
  const auto object = Get("m");
  auto first = StartRead(object, 0, 1000);
  ASSERT_TRUE(origin_->AwaitRequests(1));
  origin_->Release(2000);
  EXPECT_EQ(Await(std::move(first)).value(), Part(bytes_, 0, 1000));
  auto far = StartRead(object, 30 * kChunk, 1000);
  origin_->ReleaseAll();
  EXPECT_EQ(Await(std::move(far)).value(), Part(bytes_, 30 * kChunk, 1000));
  EXPECT_EQ(Read(object, 0, bytes_.size()).value(), bytes_);
  EXPECT_EQ(origin_->requests().size(), 1u);
}

TEST_P(StreamTest, EightReadersAreOneDownload) {
  const auto object = Get("m");
  std::vector<std::future<Result<std::vector<std::byte>>>> reads;
  for (std::uint64_t i = 0; i < 8; ++i) reads.push_back(StartRead(object, i * 5 * kChunk, 1 << 20));
  for (std::uint64_t i = 0; i < 8; ++i) {
    EXPECT_EQ(Await(std::move(reads[i])).value(), Part(bytes_, i * 5 * kChunk, 1 << 20));
  }
  ASSERT_TRUE(FetchAll(object));
  EXPECT_EQ(origin_->requests().size(), 1u);
  EXPECT_EQ(origin_->bytes_asked(), bytes_.size());
}

TEST_P(StreamTest, FetchAllIsOneDownload) {
  const auto object = Get("m");
  ASSERT_TRUE(FetchAll(object));
  EXPECT_TRUE(object->Status().whole);
  EXPECT_EQ(origin_->requests().size(), 1u);
  OpenCache();
  EXPECT_EQ(Read(Get("m"), 0, bytes_.size()).value(), bytes_);
  EXPECT_EQ(origin_->requests().size(), 1u);
}

TEST_P(StreamTest, WhatIsPresentIsPassedOver) {
  ASSERT_TRUE(FetchAll(Get("m")));
  // A damaged chunk is lost; the stream brings back that one alone.
  cache_.reset();
  std::filesystem::resize_file(PathOf(origin_->IdOf("m")) / "data", 40 * kChunk);
  OpenCache();
  EXPECT_EQ(Read(Get("m"), 0, bytes_.size()).value(), bytes_);
  ASSERT_TRUE(Eventually([&] { return Get("m")->Status().whole; }));
  EXPECT_EQ(cache_->Stats().quarantined_chunks, 1u);
  EXPECT_EQ(origin_->requests().size(), 2u);
}

TEST_P(StreamTest, SmallBuffersAreEnough) {
  auto options = MakeOptions();
  options.memory_bytes = 2 * kChunk;
  OpenCache(options);
  const auto object = Get("m");
  EXPECT_EQ(Read(object, 0, bytes_.size()).value(), bytes_);
  ASSERT_TRUE(Eventually([&] { return object->Status().whole; }));
  EXPECT_EQ(origin_->requests().size(), 1u);
}

TEST_P(StreamTest, ASlowDiskHoldsTheStreamBack) {
  ScriptFaultPoints faults;
  auto options = MakeOptions();
  options.memory_bytes = 4 * kChunk;
  options.faults = &faults;
  OpenCache(options);
  faults.Block("local_tier.create");
  const auto object = Get("m");
  auto read = StartRead(object, 0, bytes_.size());
  ASSERT_TRUE(faults.AwaitHits("local_tier.create", 1));
  EXPECT_LE(cache_->Stats().buffer_bytes, 4 * kChunk);
  faults.Unblock("local_tier.create");
  EXPECT_EQ(Await(std::move(read)).value(), bytes_);
  ASSERT_TRUE(Eventually([&] { return object->Status().whole; }));
  EXPECT_EQ(origin_->requests().size(), 1u);
  cache_.reset();
}

TEST_P(StreamTest, AFailureIsToldToAllWhoWait) {
  const auto id = origin_->IdOf("m");
  std::vector<OriginFault> script{OriginFault::kFailHalf};
  // The request that finds out comes before the stream.
  if (GetParam() == Streams::kUnannounced) script.insert(script.begin(), OriginFault::kNone);
  auto faulty = std::make_shared<FaultyOrigin>(origin_, script);
  const auto object = cache_->Get(id, faulty);
  EXPECT_EQ(Read(object, 39 * kChunk, 10).error().code, Errc::kTransient);
  EXPECT_EQ(Read(object, 39 * kChunk, 10).value(), Part(bytes_, 39 * kChunk, 10));
}

TEST_P(StreamTest, ShutDownInMidStream) {
  origin_->Hold();
  const auto object = Get("m");
  auto read = StartRead(object, 0, bytes_.size());
  ASSERT_TRUE(origin_->AwaitRequests(1));
  origin_->Release(5 * kChunk);
  ASSERT_TRUE(origin_->AwaitQuiet());
  cache_.reset();
  EXPECT_EQ(Await(std::move(read)).error().code, Errc::kCancelled);
  origin_->ReleaseAll();
}

INSTANTIATE_TEST_SUITE_P(Origins, StreamTest,
                         ::testing::Values(Streams::kAnnounced, Streams::kUnannounced),
                         [](const auto& p) {
                           return p.param == Streams::kAnnounced ? "Announced" : "Unannounced";
                         });

}  // namespace
}  // namespace modelfs::test
