#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using index::IoBackend;
using index::Priority;
using index::Verified;

/// What readers see, on both disk backends.
class CacheTest : public CacheFixture, public ::testing::WithParamInterface<IoBackend> {
 protected:
  void SetUp() override {
    auto options = MakeOptions();
    options.io_backend = GetParam();
    OpenCache(options);
  }
};

TEST_P(CacheTest, ReadsWhatTheOriginHas) {
  const auto bytes = MakeBytes(1, 5 * kChunk + 123);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  EXPECT_EQ(Read(object, 0, bytes.size() + 1).value(), bytes);
  EXPECT_EQ(Read(object, kChunk - 10, 20).value(), Part(bytes, kChunk - 10, 20));
  EXPECT_EQ(Read(object, bytes.size() - 5, 100).value(), Part(bytes, bytes.size() - 5, 5));
  EXPECT_TRUE(Read(object, bytes.size(), 1).value().empty());
  EXPECT_TRUE(Read(object, 0, 0).value().empty());
}

TEST_P(CacheTest, EmptyObjectIsWholeAtOnce) {
  origin_->Put("empty", {});
  const auto object = Get("empty");
  EXPECT_TRUE(Read(object, 0, 10).value().empty());
  EXPECT_TRUE(FetchAll(object));
  EXPECT_TRUE(object->Status().whole);
  EXPECT_TRUE(origin_->requests().empty());
}

/// What is under way at once is limited: whatever ends makes room again.
TEST_P(CacheTest, FetchesManyObjectsAtEachPriority) {
  for (const auto priority :
       {Priority::kDemand, Priority::kNear, Priority::kPlan, Priority::kBackground}) {
    for (int i = 0; i < 40; ++i) {
      const std::string key = std::to_string(static_cast<int>(priority)) + std::to_string(i);
      origin_->Put(key, MakeBytes(i, kChunk));
      const auto fetched = FetchAll(Get(key), priority);
      ASSERT_TRUE(fetched) << key << ": " << fetched.error().what;
    }
  }
}

TEST_P(CacheTest, FetchesOnlyTheChunksOfARandomRead) {
  const auto bytes = MakeBytes(3, 64 * kChunk);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  EXPECT_EQ(Read(object, bytes.size() - 4096, 4096).value(),
            Part(bytes, bytes.size() - 4096, 4096));
  EXPECT_EQ(Read(object, 20 * kChunk - 1, 2).value(), Part(bytes, 20 * kChunk - 1, 2));
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_EQ(origin_->bytes_asked(), 3 * kChunk);
  EXPECT_EQ(origin_->requests().size(), 2u);  // Adjacent chunks share one.
}

TEST_P(CacheTest, TryReadNowAnswersFromWhatIsCheckedAndInMemory) {
  const auto bytes = MakeBytes(4, 4 * kChunk);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  std::vector<std::byte> out(1000);
  EXPECT_EQ(object->TryReadNow(10, out), std::nullopt);
  ASSERT_TRUE(FetchAll(object));
  // The first takes what was kept for a reader; the second brings it into memory after direct
  // writes.
  ASSERT_TRUE(Read(object, 0, bytes.size()));
  ASSERT_TRUE(Read(object, 0, bytes.size()));
  EXPECT_EQ(object->TryReadNow(kChunk - 500, out), 1000u);
  EXPECT_EQ(out, Part(bytes, kChunk - 500, 1000));
  EXPECT_EQ(object->TryReadNow(bytes.size() - 7, out), 7u);
  EXPECT_EQ(object->TryReadNow(bytes.size(), out), 0u);
}

TEST_P(CacheTest, OneIdentityIsOneObject) {
  const auto bytes = MakeBytes(5, 3 * kChunk);
  origin_->Put("m", bytes);
  EXPECT_EQ(Get("m"), Get("m"));
  ASSERT_TRUE(FetchAll(Get("m")));
  ASSERT_TRUE(FetchAll(Get("m")));
  EXPECT_EQ(origin_->bytes_asked(), bytes.size());
}

TEST_P(CacheTest, StatusAndStatsFollow) {
  const auto bytes = MakeBytes(6, 3 * kChunk + 5);
  const auto id = origin_->Put("m", bytes);
  EXPECT_EQ(cache_->Find(id), std::nullopt);
  const auto object = Get("m");
  ASSERT_TRUE(Read(object, 0, 10));
  ASSERT_TRUE(Eventually([&] { return object->Status().cached_bytes == kChunk; }));
  EXPECT_FALSE(object->Status().whole);
  ASSERT_TRUE(FetchAll(object));
  EXPECT_TRUE(object->Status().whole);
  EXPECT_EQ(object->Status().verified, Verified::kNo);
  EXPECT_EQ(cache_->Find(id)->cached_bytes, bytes.size());
  ASSERT_TRUE(Read(object, 0, 10));
  // The last request is told of its end after its last chunk.
  EXPECT_TRUE(Eventually([&] {
    const auto now = cache_->Stats();
    return now.fetches_in_flight == 0 && now.buffer_bytes == 0;
  }));
  const auto stats = cache_->Stats();
  EXPECT_EQ(stats.objects, 1u);
  EXPECT_EQ(stats.cached_bytes, bytes.size());
  EXPECT_EQ(stats.fetched_bytes, bytes.size());
  EXPECT_EQ(stats.miss_bytes, 10u);
  EXPECT_EQ(stats.hit_bytes, 10u);
  EXPECT_EQ(stats.last_problem, "");
}

TEST_P(CacheTest, VerifyMarksAWholeObject) {
  const auto bytes = MakeBytes(7, 5 * kChunk + 5);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  ASSERT_TRUE(FetchAll(object));
  const auto report = Verify();
  ASSERT_TRUE(report) << report.error().what;
  EXPECT_EQ(report->objects, 1u);
  EXPECT_EQ(report->chunks, 6u);
  EXPECT_EQ(report->bytes, bytes.size());
  EXPECT_EQ(report->bad_chunks, 0u);
  EXPECT_EQ(object->Status().verified, Verified::kSelf);
}

TEST_P(CacheTest, VerifyStopsWhenToldTo) {
  origin_->Put("m", MakeBytes(8, 5 * kChunk));
  ASSERT_TRUE(FetchAll(Get("m")));
  auto promise = std::make_shared<std::promise<Result<index::VerifyReport>>>();
  cache_->Verify(
      {}, [](std::uint64_t) { return false; },
      [promise](Result<index::VerifyReport> r) { promise->set_value(std::move(r)); });
  EXPECT_EQ(Await(promise->get_future()).error().code, Errc::kCancelled);
}

TEST_P(CacheTest, WantFetchesInTheBackground) {
  const auto bytes = MakeBytes(9, 10 * kChunk);
  origin_->Put("m", bytes);
  const auto object = Get("m");
  object->Want(ByteRange::At(2 * kChunk + 5, kChunk), Priority::kPlan);
  ASSERT_TRUE(Eventually([&] { return object->Status().cached_bytes == 2 * kChunk; }));
  EXPECT_EQ(Read(object, 2 * kChunk, 2 * kChunk).value(), Part(bytes, 2 * kChunk, 2 * kChunk));
  EXPECT_EQ(origin_->bytes_asked(), 2 * kChunk);
}

INSTANTIATE_TEST_SUITE_P(Backends, CacheTest,
                         ::testing::Values(IoBackend::kAuto, IoBackend::kThreads),
                         [](const auto& p) {
                           return p.param == IoBackend::kAuto ? "Auto" : "Threads";
                         });

}  // namespace
}  // namespace modelfs::test
