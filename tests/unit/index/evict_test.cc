#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/script_fault_points.h"
#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using index::EvictReport;
using index::Health;

/// Limits, recency, pins and what is dropped.
class EvictTest : public CacheFixture {
 protected:
  index::Cache::Options Limited(std::uint64_t size_bytes) {
    auto options = MakeOptions();
    options.limits.size_bytes = size_bytes;
    options.check_interval = std::chrono::milliseconds(10);
    return options;
  }
  /// Puts and fetches an object whose bytes are those of `seed`.
  void Fill(const std::string& key, std::uint64_t seed, std::size_t size) {
    origin_->Put(key, MakeBytes(seed, size));
    EXPECT_TRUE(FetchAll(Get(key)));
  }
  bool Cached(const std::string& key) { return cache_->Find(origin_->IdOf(key)).has_value(); }
  Result<void> Pin(const std::string& key) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    cache_->Pin({origin_->IdOf(key)}, [promise](Result<void> r) { promise->set_value(r); });
    return Await(promise->get_future());
  }
  Result<void> Unpin(const std::string& key) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    cache_->Unpin({origin_->IdOf(key)}, [promise](Result<void> r) { promise->set_value(r); });
    return Await(promise->get_future());
  }
  EvictReport Evict(std::vector<fetch::ObjectId> ids) {
    auto promise = std::make_shared<std::promise<Result<EvictReport>>>();
    cache_->Evict(std::move(ids), [promise](Result<EvictReport> r) { promise->set_value(r); });
    return Await(promise->get_future()).value();
  }
  /// What the object files really take.
  std::uint64_t Blocks() const {
    std::uint64_t bytes = 0;
    std::error_code error;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(dir_.path() / "cache" / "objects", error)) {
      struct stat info{};
      if (::lstat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
        bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
      }
    }
    return bytes;
  }
};

TEST_F(EvictTest, BlocksAreCountedExactly) {
  OpenCache();
  Fill("a", 1, 3 * kChunk + 5);
  Fill("b", 2, 100);
  EXPECT_EQ(cache_->Stats().allocated_bytes, Blocks());
  EXPECT_GE(Blocks(), 3 * kChunk);
  OpenCache();
  EXPECT_EQ(cache_->Stats().allocated_bytes, Blocks());
  EXPECT_EQ(Evict({}).objects, 2u);
  EXPECT_EQ(cache_->Stats().allocated_bytes, 0u);
  EXPECT_EQ(Blocks(), 0u);
}

TEST_F(EvictTest, TheLeastRecentlyUsedGoes) {
  OpenCache(Limited(12 * kChunk));
  Fill("a", 1, 4 * kChunk);
  Fill("b", 2, 4 * kChunk);
  OpenCache(Limited(12 * kChunk));
  ASSERT_TRUE(Read(Get("b"), 0, 10));
  ASSERT_TRUE(Read(Get("a"), 0, 10));
  Fill("c", 3, 4 * kChunk);
  EXPECT_TRUE(Cached("a"));
  EXPECT_FALSE(Cached("b"));
  EXPECT_TRUE(Cached("c"));
  EXPECT_LE(Blocks(), 12 * kChunk);
  EXPECT_EQ(cache_->Stats().allocated_bytes, Blocks());
  EXPECT_EQ(Read(Get("b"), 0, 4 * kChunk).value(), MakeBytes(2, 4 * kChunk));
}

TEST_F(EvictTest, WhatIsOpenStays) {
  OpenCache(Limited(6 * kChunk));
  Fill("a", 1, 4 * kChunk);
  const auto open = Get("a");
  EXPECT_TRUE(open->Status().in_use);
  const auto report = Evict({origin_->IdOf("a")});
  EXPECT_EQ(report.in_use, 1u);
  EXPECT_EQ(report.objects, 0u);
  EXPECT_TRUE(open->Status().whole);
}

TEST_F(EvictTest, WhatWasEvictedIsFetchedAgain) {
  OpenCache();
  Fill("a", 1, 4 * kChunk);
  const auto report = Evict({origin_->IdOf("a")});
  EXPECT_EQ(report.objects, 1u);
  EXPECT_GE(report.bytes, 4 * kChunk);
  EXPECT_FALSE(Cached("a"));
  EXPECT_EQ(cache_->Stats().cached_bytes, 0u);
  EXPECT_EQ(Read(Get("a"), 0, 4 * kChunk).value(), MakeBytes(1, 4 * kChunk));
  ASSERT_TRUE(Eventually([&] { return Get("a")->Status().whole; }));
  EXPECT_EQ(cache_->Stats().cached_bytes, 4 * kChunk);
  EXPECT_EQ(Evict({}).objects, 1u);
}

TEST_F(EvictTest, PinnedStaysAlsoAfterARestartAndALostIndex) {
  OpenCache(Limited(8 * kChunk));
  Fill("a", 1, 4 * kChunk);
  ASSERT_TRUE(Pin("a"));
  EXPECT_EQ(Evict({}).pinned, 1u);
  EXPECT_EQ(cache_->Stats().pinned_objects, 1u);
  for (int life = 0; life < 3; ++life) {
    Fill("b" + std::to_string(life), 2, 3 * kChunk);
    EXPECT_TRUE(cache_->Find(origin_->IdOf("a"))->whole);
    EXPECT_TRUE(cache_->Find(origin_->IdOf("a"))->pinned);
    cache_.reset();
    if (life == 1) std::filesystem::remove_all(dir_.path() / "cache" / "index");
    OpenCache(Limited(8 * kChunk));
    EXPECT_EQ(cache_->Stats().pinned_objects, 1u);
    EXPECT_GE(cache_->Stats().pinned_bytes, 4 * kChunk);
  }
  ASSERT_TRUE(Unpin("a"));
  EXPECT_EQ(cache_->Stats().pinned_bytes, 0u);
  Evict({});
  EXPECT_FALSE(Cached("a"));
}

TEST_F(EvictTest, APinComesBeforeTheBytes) {
  OpenCache();
  origin_->Put("a", MakeBytes(1, 2 * kChunk));
  ASSERT_TRUE(Pin("a"));
  EXPECT_TRUE(cache_->Find(origin_->IdOf("a"))->pinned);
  OpenCache();
  ASSERT_TRUE(FetchAll(Get("a")));
  EXPECT_EQ(Evict({}).pinned, 1u);
  EXPECT_TRUE(cache_->Find(origin_->IdOf("a"))->whole);
}

TEST_F(EvictTest, AnObjectLargerThanTheLimitIsRead) {
  constexpr std::uint64_t kMost = 16 * kChunk;
  const auto bytes = MakeBytes(3, 80 * kChunk + 3);
  OpenCache(Limited(kMost));
  origin_->Put("m", bytes);
  const auto object = Get("m");
  ASSERT_TRUE(Eventually([&] {
    for (std::uint64_t at = 0; at < bytes.size(); at += 3 * kChunk) {
      EXPECT_EQ(Read(object, at, 3 * kChunk).value(), Part(bytes, at, 3 * kChunk));
      EXPECT_LE(Blocks(), kMost);
    }
    return cache_->Stats().evicted_bytes > 0;
  }));
  EXPECT_TRUE(Eventually([&] { return object->Status().cached_bytes > 0; }));
  EXPECT_EQ(FetchAll(object).error().code, Errc::kNoSpace);
}

TEST_F(EvictTest, NoRoomMeansReadingThrough) {
  const auto bytes = MakeBytes(3, 4 * kChunk);
  OpenCache(Limited(kChunk / 2));
  origin_->Put("m", bytes);
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().reads_through == bytes.size(); }));
  EXPECT_EQ(cache_->Stats().health, Health::kOk);
  cache_->SetLimits({});
  ASSERT_TRUE(Eventually([&] { return FetchAll(Get("m")).has_value(); }));
}

TEST_F(EvictTest, TheFreeSpaceFloorHolds) {
  const auto bytes = MakeBytes(3, 4 * kChunk);
  OpenCache(Limited(0));
  Fill("a", 1, 2 * kChunk);
  cache_->SetLimits({.free_floor_bytes = std::uint64_t{1} << 60});
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().allocated_bytes == 0; }));
  EXPECT_FALSE(Cached("a"));
  origin_->Put("m", bytes);
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
  EXPECT_EQ(Blocks(), 0u);
}

TEST_F(EvictTest, LowerLimitsTakeEffectInTheBackground) {
  OpenCache(Limited(0));
  for (int i = 0; i < 5; ++i) Fill(std::to_string(i), 1, 2 * kChunk);
  cache_->SetLimits({.size_bytes = 5 * kChunk});
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().allocated_bytes <= 5 * kChunk; }));
  EXPECT_EQ(cache_->Stats().limit_bytes, 5 * kChunk);
  EXPECT_GT(cache_->Stats().objects, 0u);
  EXPECT_EQ(cache_->Stats().allocated_bytes, Blocks());
}

TEST_F(EvictTest, DomainsShareNothing) {
  const auto bytes = MakeBytes(4, 2 * kChunk);
  auto ours = origin_->Put("m", bytes);
  auto theirs = ours;
  theirs.domain = "somebody else";
  OpenCache();
  ASSERT_TRUE(FetchAll(cache_->Get(ours, origin_)));
  EXPECT_EQ(cache_->Find(theirs), std::nullopt);
  EXPECT_EQ(Read(cache_->Get(theirs, origin_), 0, bytes.size()).value(), bytes);
  EXPECT_EQ(origin_->bytes_asked(), 2 * bytes.size());
}

TEST_F(EvictTest, DegradesAndHeals) {
  ScriptFaultPoints faults;
  auto options = Limited(0);
  options.faults = &faults;
  OpenCache(options);
  const auto bytes = MakeBytes(5, 4 * kChunk);
  origin_->Put("m", bytes);
  faults.FailNext("local_tier.write", {Errc::kIo, "test: read-only file system"}, 0);
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().health == Health::kDegraded; }));
  EXPECT_EQ(cache_->Stats().health_reason, "test: read-only file system");
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
  EXPECT_EQ(Get("m")->Status().cached_bytes, 0u);
  faults.Heal("local_tier.write");
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().health == Health::kOk; }));
  EXPECT_EQ(cache_->Stats().health_reason, "");
  ASSERT_TRUE(FetchAll(Get("m")));
  cache_.reset();
}

/// Eight readers, a limit of a quarter of the data, against what the origin has.
TEST_F(EvictTest, RandomReadsUnderALimit) {
  constexpr int kObjects = 12;
  constexpr std::uint64_t kSize = 70 * kChunk + 777;
  const std::uint64_t limit = kObjects * kSize / 4;
  const auto seed = static_cast<std::uint32_t>(std::random_device{}());
  SCOPED_TRACE("seed " + std::to_string(seed));
  OpenCache(Limited(limit));
  std::vector<std::vector<std::byte>> bytes;
  std::vector<fetch::ObjectId> ids;
  for (int i = 0; i < kObjects; ++i) {
    bytes.push_back(MakeBytes(static_cast<std::uint64_t>(100 + i), kSize));
    ids.push_back(origin_->Put("m" + std::to_string(i), bytes.back()));
  }
  ASSERT_TRUE(FetchAll(Get("m0")));
  ASSERT_TRUE(Pin("m0"));
  std::atomic<int> wrong{0};
  std::atomic<int> running{8};
  std::vector<std::thread> readers;
  for (std::uint32_t t = 0; t < 8; ++t) {
    readers.emplace_back([&, t] {
      std::mt19937 random(seed + t);
      std::vector<std::byte> out(100'000);
      std::shared_ptr<index::CachedObject> object;
      std::size_t which = 0;
      for (int i = 0; i < 250; ++i) {
        if (!object || random() % 8 == 0) {
          which = random() % kObjects;
          object = cache_->Get(ids[which], origin_);
        }
        const std::uint64_t offset = random() % kSize;
        const std::size_t size = 1 + random() % out.size();
        std::size_t n = 0;
        if (const auto now = object->TryReadNow(offset, std::span(out).first(size)); now) {
          n = *now;
        } else {
          auto read = Read(object, offset, size);
          if (!read) {
            ++wrong;
            continue;
          }
          n = read->size();
          std::copy(read->begin(), read->end(), out.begin());
        }
        const std::size_t expected = std::min<std::uint64_t>(size, kSize - offset);
        if (n != expected || std::memcmp(out.data(), bytes[which].data() + offset, n) != 0) ++wrong;
      }
      --running;
    });
  }
  std::uint64_t most = 0;
  while (running > 0) {
    most = std::max(most, cache_->Stats().allocated_bytes);
    std::this_thread::yield();
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(most, limit);
  EXPECT_LE(Blocks(), limit);
  EXPECT_EQ(cache_->Find(ids[0])->cached_bytes, kSize);
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().allocated_bytes == Blocks(); }));
  EXPECT_GT(cache_->Stats().evicted_bytes, 0u);
  EXPECT_EQ(cache_->Stats().quarantined_chunks, 0u);
  OpenCache(Limited(limit));
  EXPECT_EQ(cache_->Stats().allocated_bytes, Blocks());
  EXPECT_EQ(Verify()->bad_chunks, 0u);
  EXPECT_EQ(cache_->Find(ids[0])->cached_bytes, kSize);
}

}  // namespace
}  // namespace modelfs::test
