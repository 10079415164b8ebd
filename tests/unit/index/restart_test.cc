#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/faulty_origin.h"
#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using index::Verified;

/// What is found again, and what damage is noticed, by the next life.
class RestartTest : public CacheFixture {
 protected:
  void SetUp() override {
    id_ = origin_->Put("m", bytes_);
    OpenCache();
    ASSERT_TRUE(FetchAll(Get("m")));
    asked_ = origin_->bytes_asked();
    ASSERT_EQ(asked_, bytes_.size());
    cache_.reset();
  }

  void Flip(const std::filesystem::path& path, std::uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(file);
    file.seekg(static_cast<std::streamoff>(offset));
    const int c = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(c ^ 1));
  }
  std::uint64_t Refetched() const { return origin_->bytes_asked() - asked_; }
  void ExpectAllEqual() { EXPECT_EQ(Read(Get("m"), 0, bytes_.size()).value(), bytes_); }

  const std::vector<std::byte> bytes_ = MakeBytes(2, 70 * kChunk + 1);
  fetch::ObjectId id_;
  std::uint64_t asked_ = 0;
};

TEST_F(RestartTest, NothingIsFetchedAgain) {
  OpenCache();
  EXPECT_TRUE(cache_->Find(id_)->whole);
  EXPECT_EQ(cache_->Stats().cached_bytes, bytes_.size());
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), 0u);
}

TEST_F(RestartTest, LostIndexIsRebuilt) {
  std::filesystem::remove_all(dir_.path() / "cache" / "index");
  OpenCache();
  EXPECT_TRUE(cache_->Find(id_)->whole);
  EXPECT_EQ(cache_->Stats().objects, 1u);
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), 0u);
}

TEST_F(RestartTest, GarbageInTheIndexIsRebuilt) {
  std::ofstream(dir_.path() / "cache" / "index" / "data.mdb", std::ios::trunc)
      << std::string(300'000, 'g');
  OpenCache();
  EXPECT_TRUE(cache_->Find(id_)->whole);
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), 0u);
}

TEST_F(RestartTest, IndexOfItsOwnDirectory) {
  auto options = MakeOptions();
  options.index_directory = dir_.path() / "elsewhere" / "index";
  OpenCache(options);  // Empty there, so rebuilt.
  EXPECT_TRUE(cache_->Find(id_)->whole);
  EXPECT_TRUE(std::filesystem::exists(options.index_directory / "data.mdb"));
}

TEST_F(RestartTest, FlippedDataByteIsFetchedAgainAndNeverServed) {
  Flip(PathOf(id_) / "data", 3 * kChunk + 17);
  OpenCache();
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), kChunk);
  EXPECT_EQ(cache_->Stats().quarantined_chunks, 1u);
  ExpectAllEqual();
  OpenCache();
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), kChunk);
}

TEST_F(RestartTest, FlippedDataByteIsFoundByVerify) {
  Flip(PathOf(id_) / "data", 3 * kChunk + 17);
  OpenCache();
  const auto report = Verify();
  ASSERT_TRUE(report);
  EXPECT_EQ(report->bad_chunks, 1u);
  EXPECT_EQ(report->bad.size(), 1u);
  ASSERT_TRUE(Eventually([&] { return !Get("m")->Status().whole; }));
  EXPECT_EQ(cache_->Find(id_)->verified, Verified::kNo);
  ASSERT_TRUE(FetchAll(Get("m")));
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), kChunk);
  EXPECT_EQ(Verify()->bad_chunks, 0u);
  EXPECT_EQ(cache_->Find(id_)->verified, Verified::kSelf);
}

TEST_F(RestartTest, VerifiedIsKept) {
  OpenCache();
  ASSERT_EQ(Verify()->bad_chunks, 0u);
  OpenCache();
  EXPECT_EQ(cache_->Find(id_)->verified, Verified::kSelf);
}

TEST_F(RestartTest, FlippedMapRecordIsFetchedAgain) {
  Flip(PathOf(id_) / "map", 4096 + 5 * 64);
  OpenCache();
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), kChunk);
}

TEST_F(RestartTest, TornMapRecordIsFetchedAgain) {
  std::filesystem::resize_file(PathOf(id_) / "map", 4096 + 70 * 64 + 30);
  OpenCache();
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), 1u);
}

TEST_F(RestartTest, DamagedMapHeaderMeansAllAgain) {
  Flip(PathOf(id_) / "map", 20);
  OpenCache();
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), bytes_.size());
  OpenCache();
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), bytes_.size());
}

TEST_F(RestartTest, CutDataFileIsFetchedAgain) {
  std::filesystem::resize_file(PathOf(id_) / "data", 60 * kChunk);
  OpenCache();
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), 10 * kChunk + 1);
}

TEST_F(RestartTest, DeletedObjectIsFetchedAgain) {
  std::filesystem::remove_all(PathOf(id_));
  OpenCache();
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), bytes_.size());
}

TEST_F(RestartTest, WhatIsWrongOnDiskAgainAndAgainIsReadThrough) {
  Flip(PathOf(id_) / "data", 17);
  OpenCache();
  const auto object = Get("m");
  ASSERT_TRUE(Read(object, 0, kChunk));  // All of it, so that nothing is kept in memory.
  ASSERT_TRUE(Eventually([&] { return object->Status().whole; }));
  Flip(PathOf(id_) / "data", 17);
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t fetched = Refetched();
    EXPECT_EQ(Read(object, 0, 10).value(), Part(bytes_, 0, 10));
    EXPECT_GT(Refetched(), fetched);
    // Not kept: until it is let go of, others are answered from its buffer.
    ASSERT_TRUE(Eventually([&] { return cache_->Stats().buffer_bytes == 0; }));
    EXPECT_FALSE(object->Status().whole);
  }
}

TEST_F(RestartTest, OtherFormatVersionIsRefusedAndLeftAlone) {
  const auto format = dir_.path() / "cache" / "FORMAT";
  std::ofstream(format, std::ios::trunc) << "modelfs-cache 7\nchunk_size 262144\n";
  const auto before = std::filesystem::last_write_time(dir_.path() / "cache");
  auto cache = index::Cache::Open(MakeOptions());
  ASSERT_FALSE(cache);
  EXPECT_EQ(cache.error().code, Errc::kInvalid);
  EXPECT_NE(cache.error().what.find("format 7"), std::string::npos) << cache.error().what;
  EXPECT_NE(cache.error().what.find("formats 1 to 2"), std::string::npos) << cache.error().what;
  EXPECT_EQ(std::filesystem::last_write_time(dir_.path() / "cache"), before);
}

TEST_F(RestartTest, DirectoryKeepsItsOwnChunkSize) {
  auto options = MakeOptions();
  options.chunk_size_bytes = 1 << 20;
  OpenCache(options);
  ExpectAllEqual();
  EXPECT_EQ(Refetched(), 0u);
}

TEST_F(RestartTest, ReplacedObjectServesOldBytesFromTheCache) {
  OpenCache();
  const auto old = cache_->Get(id_, origin_);
  const auto fresh = MakeBytes(99, 2 * kChunk);
  origin_->Put("m", fresh);
  EXPECT_EQ(Read(old, 0, bytes_.size()).value(), bytes_);
  EXPECT_EQ(Read(Get("m"), 0, fresh.size()).value(), fresh);
}

/// A process that is killed in the middle of a download, and its successor.
TEST(KilledTest, SuccessorFindsEveryChunkThatWasWhole) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr std::uint64_t kChunk = 256 << 10;
  TempDir dir;
  // The death test runs this test again in another process, which has to use this directory.
  const char* outer = std::getenv("MODELFS_TEST_KILLED_DIR");
  const std::filesystem::path path = outer != nullptr ? outer : dir.path().string();
  ::setenv("MODELFS_TEST_KILLED_DIR", path.c_str(), 1);
  const auto bytes = MakeBytes(3, 40 * kChunk);
  auto origin = std::make_shared<FakeOrigin>();
  const auto id = origin->Put("m", bytes);
  index::Cache::Options options;
  options.directory = path / "cache";
  options.chunk_size_bytes = kChunk;
  EXPECT_EXIT(
      {
        auto cache = index::Cache::Open(options);
        const auto object = (*cache)->Get(id, origin);
        origin->Hold();
        origin->Release(20 * kChunk + 1000);
        object->FetchAll(index::Priority::kPlan, [](const Result<void>&) {});
        while (object->Status().cached_bytes < 20 * kChunk) std::this_thread::yield();
        ::raise(SIGKILL);
      },
      ::testing::KilledBySignal(SIGKILL), "");
  ::unsetenv("MODELFS_TEST_KILLED_DIR");
  auto cache = index::Cache::Open(options);
  ASSERT_TRUE(cache) << cache.error().what;
  EXPECT_EQ((*cache)->Find(id)->cached_bytes, 20 * kChunk);
  const auto object = (*cache)->Get(id, origin);
  std::vector<std::byte> out(bytes.size());
  std::promise<Result<std::size_t>> promise;
  object->Read(0, out, [&](Result<std::size_t> n) { promise.set_value(std::move(n)); });
  ASSERT_TRUE(promise.get_future().get());
  EXPECT_EQ(out, bytes);
  EXPECT_EQ(origin->bytes_asked(), 20 * kChunk);
}

}  // namespace
}  // namespace modelfs::test
