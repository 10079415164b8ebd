#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/faulty_origin.h"
#include "tests/support/pattern.h"
#include "tests/support/script_fault_points.h"
#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using index::Priority;
using std::future_status;

/// How reads share downloads.
class SingleFlightTest : public CacheFixture {
 protected:
  static bool Answered(std::future<Result<std::vector<std::byte>>>& future) {
    return future.wait_for(std::chrono::seconds(0)) == future_status::ready;
  }
};

TEST_F(SingleFlightTest, JoinsADownloadInProgress) {
  const auto bytes = MakeBytes(1, 4 * kChunk);
  origin_->Put("m", bytes);
  origin_->Hold();
  OpenCache();
  const auto object = Get("m");
  auto first = StartRead(object, 0, 100);
  ASSERT_TRUE(origin_->AwaitRequests(1));
  auto second = StartRead(object, 50, 1000);
  origin_->ReleaseAll();
  EXPECT_EQ(Await(std::move(first)).value(), Part(bytes, 0, 100));
  EXPECT_EQ(Await(std::move(second)).value(), Part(bytes, 50, 1000));
  EXPECT_EQ(origin_->requests().size(), 1u);
}

TEST_F(SingleFlightTest, AnswersBeforeTheChunkIsComplete) {
  const auto bytes = MakeBytes(2, 2 * kChunk);
  origin_->Put("m", bytes);
  origin_->Hold();
  OpenCache();
  const auto object = Get("m");
  auto early = StartRead(object, 100, 4000);
  auto late = StartRead(object, kChunk - 10, 10);
  ASSERT_TRUE(origin_->AwaitRequests(1));
  origin_->Release(4099);
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_FALSE(Answered(early));
  origin_->Release(1);
  EXPECT_EQ(Await(std::move(early)).value(), Part(bytes, 100, 4000));
  EXPECT_FALSE(Answered(late));
  // Arrived bytes are served from the buffer at once.
  EXPECT_EQ(Read(object, 0, 4100).value(), Part(bytes, 0, 4100));
  origin_->ReleaseAll();
  EXPECT_EQ(Await(std::move(late)).value(), Part(bytes, kChunk - 10, 10));
}

TEST_F(SingleFlightTest, SixteenReadersFetchEachByteOnce) {
  constexpr std::uint64_t kSize = 100 * kChunk + 77;
  const auto bytes = MakeBytes(3, kSize);
  origin_->Put("m", bytes);
  OpenCache();
  const auto object = Get("m");
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> readers;
    for (int r = 0; r < 16; ++r) {
      readers.emplace_back([&, r] {
        const std::uint64_t step = 128 << 10;
        // Each starts elsewhere and goes round.
        for (std::uint64_t i = 0, n = (kSize + step - 1) / step; i < n; ++i) {
          const std::uint64_t at = (i + static_cast<std::uint64_t>(r) * n / 16) % n * step;
          const auto got = Read(object, at, step);
          if (!got || *got != Part(bytes, at, step)) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_EQ(origin_->bytes_asked(), kSize);
}

TEST_F(SingleFlightTest, SequentialReaderGetsLargerRequests) {
  const auto bytes = MakeBytes(4, 64 * kChunk);
  origin_->Put("m", bytes);
  OpenCache();
  const auto object = Get("m");
  for (std::uint64_t at = 0; at < bytes.size(); at += 64 << 10) {
    ASSERT_EQ(Read(object, at, 64 << 10).value(), Part(bytes, at, 64 << 10));
  }
  EXPECT_EQ(origin_->bytes_asked(), bytes.size());
  EXPECT_LT(origin_->requests().size(), 40u);
}

TEST_F(SingleFlightTest, DiskFullStillServes) {
  const auto bytes = MakeBytes(5, 8 * kChunk);
  origin_->Put("m", bytes);
  ScriptFaultPoints faults;
  faults.FailNext("local_tier.write", {Errc::kNoSpace, "test: disk full"}, 0);
  auto options = MakeOptions();
  options.faults = &faults;
  options.check_interval = std::chrono::milliseconds(10);
  OpenCache(options);
  const auto object = Get("m");
  EXPECT_EQ(Read(object, 0, bytes.size()).value(), bytes);
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().uncached_writes == 8; }));
  EXPECT_EQ(cache_->Stats().health, index::Health::kDegraded);
  EXPECT_EQ(cache_->Stats().reads_through, bytes.size());
  EXPECT_NE(cache_->Stats().last_problem.find("disk full"), std::string::npos);
  EXPECT_EQ(object->Status().cached_bytes, 0u);
  EXPECT_EQ(FetchAll(object).error().code, Errc::kNoSpace);
  faults.Heal("local_tier.write");
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().health == index::Health::kOk; }));
  EXPECT_EQ(Read(object, 0, bytes.size()).value(), bytes);
  EXPECT_TRUE(FetchAll(object));
  EXPECT_TRUE(object->Status().whole);
  cache_.reset();
}

TEST_F(SingleFlightTest, FilesThatCannotBeMadeStillServe) {
  const auto bytes = MakeBytes(6, 3 * kChunk);
  origin_->Put("m", bytes);
  ScriptFaultPoints faults;
  faults.FailNext("local_tier.create", {Errc::kIo, "test: disk gone"}, 0);
  auto options = MakeOptions();
  options.faults = &faults;
  OpenCache(options);
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().uncached_writes == 3; }));
  cache_.reset();
}

TEST_F(SingleFlightTest, BytesAreServedWhileTheyAreWritten) {
  const auto bytes = MakeBytes(7, kChunk);
  origin_->Put("m", bytes);
  ScriptFaultPoints faults;
  faults.Block("local_tier.create");
  auto options = MakeOptions();
  options.faults = &faults;
  OpenCache(options);
  const auto object = Get("m");
  EXPECT_EQ(Read(object, 0, bytes.size()).value(), bytes);
  ASSERT_TRUE(faults.AwaitHits("local_tier.create", 1));
  EXPECT_EQ(object->Status().cached_bytes, 0u);
  EXPECT_EQ(Read(object, 5, 50).value(), Part(bytes, 5, 50));
  EXPECT_EQ(origin_->requests().size(), 1u);
  faults.Unblock("local_tier.create");
  EXPECT_TRUE(FetchAll(object));
  EXPECT_EQ(origin_->requests().size(), 1u);
  cache_.reset();
}

TEST_F(SingleFlightTest, FourBuffersAreEnough) {
  const auto bytes = MakeBytes(8, 50 * kChunk);
  origin_->Put("m", bytes);
  auto options = MakeOptions();
  options.memory_bytes = 4 * kChunk;
  OpenCache(options);
  const auto object = Get("m");
  std::vector<std::future<Result<std::vector<std::byte>>>> reads;
  for (std::uint64_t i = 0; i < 5; ++i)
    reads.push_back(StartRead(object, i * 10 * kChunk, 10 * kChunk));
  for (std::uint64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(Await(std::move(reads[i])).value(), Part(bytes, i * 10 * kChunk, 10 * kChunk));
  }
  EXPECT_TRUE(FetchAll(object));
  EXPECT_EQ(origin_->bytes_asked(), bytes.size());
  EXPECT_EQ(cache_->Stats().buffer_limit_bytes, 4 * kChunk);
  // Once more from disk, where every chunk is checked in a buffer.
  OpenCache(options);
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
}

TEST_F(SingleFlightTest, OneBufferIsEnough) {
  const auto bytes = MakeBytes(9, 6 * kChunk);
  origin_->Put("m", bytes);
  auto options = MakeOptions();
  options.memory_bytes = 1;
  OpenCache(options);
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
  EXPECT_TRUE(FetchAll(Get("m")));
}

TEST_F(SingleFlightTest, FailedDownloadFailsItsWaitersAndKeepsWholeChunks) {
  const auto bytes = MakeBytes(10, 8 * kChunk);
  origin_->Put("m", bytes);
  auto faulty = std::make_shared<FaultyOrigin>(origin_, std::vector{OriginFault::kFailHalf});
  OpenCache();
  const auto object = cache_->Get(origin_->IdOf("m"), faulty);
  auto all = StartRead(object, 0, bytes.size());
  EXPECT_EQ(Await(std::move(all)).error().code, Errc::kTransient);
  ASSERT_TRUE(Eventually([&] { return object->Status().cached_bytes == 4 * kChunk; }));
  EXPECT_EQ(Read(object, 0, bytes.size()).value(), bytes);
  EXPECT_EQ(origin_->bytes_asked(), bytes.size());
}

TEST_F(SingleFlightTest, ShortBodyIsNeverSuccess) {
  const auto bytes = MakeBytes(11, kChunk);
  origin_->Put("m", bytes);
  auto faulty = std::make_shared<FaultyOrigin>(origin_, std::vector{OriginFault::kShortBody});
  OpenCache();
  const auto object = cache_->Get(origin_->IdOf("m"), faulty);
  EXPECT_EQ(Read(object, kChunk - 10, 10).error().code, Errc::kTransient);
  EXPECT_EQ(Read(object, kChunk - 10, 10).value(), Part(bytes, kChunk - 10, 10));
}

TEST_F(SingleFlightTest, ChangedObjectKeepsServingCachedBytes) {
  const auto bytes = MakeBytes(12, 8 * kChunk);
  const auto id = origin_->Put("m", bytes);
  OpenCache();
  const auto object = cache_->Get(id, origin_);
  ASSERT_EQ(Read(object, 0, 2 * kChunk).value(), Part(bytes, 0, 2 * kChunk));
  origin_->Put("m", MakeBytes(13, 8 * kChunk));
  EXPECT_EQ(Read(object, 4 * kChunk, 100).error().code, Errc::kChanged);
  EXPECT_EQ(Read(object, 0, 2 * kChunk).value(), Part(bytes, 0, 2 * kChunk));
  const std::size_t asked = origin_->requests().size();
  EXPECT_EQ(Read(object, 5 * kChunk, 100).error().code, Errc::kChanged);
  EXPECT_EQ(origin_->requests().size(), asked);  // Known by now.
  EXPECT_EQ(FetchAll(object).error().code, Errc::kChanged);
}

TEST_F(SingleFlightTest, DemandIsNotStuckBehindAWarm) {
  const auto bytes = MakeBytes(14, 64 * kChunk);
  origin_->Put("m", bytes);
  OpenCache();
  const auto object = Get("m");
  // Asked for in pieces, so that a reader of the end has a request of its own.
  origin_->Hold();
  object->Want({0, bytes.size()}, Priority::kPlan);
  ASSERT_TRUE(origin_->AwaitRequests(8));
  auto read = StartRead(object, bytes.size() - 100, 100);
  EXPECT_TRUE(Eventually([&] {
    const auto requests = origin_->requests();
    return std::ranges::any_of(
        requests, [](const auto& r) { return r.range == ByteRange::At(63 * kChunk, kChunk); });
  }));
  origin_->ReleaseAll();
  EXPECT_TRUE(Await(std::move(read)));
  EXPECT_TRUE(FetchAll(object));
  EXPECT_EQ(origin_->bytes_asked(), bytes.size());
}

TEST_F(SingleFlightTest, RandomReadsWithRestartsEqualTheSource) {
  const unsigned seed = std::getenv("TEST_SEED") != nullptr
                            ? static_cast<unsigned>(std::atoi(std::getenv("TEST_SEED")))
                            : std::random_device{}();
  SCOPED_TRACE("TEST_SEED=" + std::to_string(seed));
  constexpr std::uint64_t kSize = 80 * kChunk + 4321;
  origin_->Put("m", MakeBytes(15, kSize));
  std::atomic<int> wrong{0};
  for (int life = 0; life < 4; ++life) {
    auto options = MakeOptions();
    options.memory_bytes = (life % 2 == 0 ? 6 : 200) * kChunk;
    options.io_backend = life < 2 ? index::IoBackend::kAuto : index::IoBackend::kThreads;
    options.direct_writes = life % 2 == 0;
    OpenCache(options);
    const auto object = Get("m");
    std::vector<std::jthread> readers;
    for (unsigned r = 0; r < 4; ++r) {
      readers.emplace_back([&, r] {
        std::mt19937_64 random(seed + r + 100u * static_cast<unsigned>(life));
        for (int i = 0; i < 60; ++i) {
          const std::uint64_t at = random() % kSize;
          const std::size_t size = 1 + random() % (random() % 4 == 0 ? 2'000'000 : 5000);
          std::vector<std::byte> now(size);
          if (const auto n = object->TryReadNow(at, now)) {
            now.resize(*n);
          } else {
            auto got = Read(object, at, size);
            if (!got) {
              ++wrong;
              continue;
            }
            now = std::move(*got);
          }
          if (now.size() != std::min<std::uint64_t>(size, kSize - at)) ++wrong;
          if (PatternMismatch(15, at, now)) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(origin_->bytes_asked(), kSize);
}

}  // namespace
}  // namespace modelfs::test
