#include "index/index_db.h"

#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "tests/support/temp_dir.h"

namespace modelfs::index {
namespace {

class IndexDbTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kChunk = 1 << 20;

  void Open(std::size_t map_bytes = LmdbStore::kFirstMapBytes) {
    db_.reset();
    auto db = IndexDb::Open(
        dir_.path() / "index", [this](const Error& e) { problem_ = e.what; }, map_bytes);
    ASSERT_TRUE(db) << db.error().what;
    db_ = std::move(*db);
  }
  void Flush() {
    std::promise<void> promise;
    db_->Flush([&](const Result<void>& r) {
      EXPECT_TRUE(r);
      promise.set_value();
    });
    promise.get_future().get();
  }
  static fetch::ObjectId Id(const std::string& key, std::uint64_t chunks = 200) {
    return {.domain = "d", .source = "s", .key = key, .tag = "t", .size_bytes = chunks * kChunk};
  }

  test::TempDir dir_;
  std::string problem_;
  std::unique_ptr<IndexDb> db_;
};

TEST_F(IndexDbTest, KeepsObjectsAndChunks) {
  Open();
  EXPECT_TRUE(db_->needs_rebuild());
  const auto id = Id("a");
  db_->MarkDirty(id, kChunk, {});
  for (std::uint64_t i = 0; i < 200; i += 3) db_->PutChunk(id.Digest(), i, i * 7 + 1);
  db_->DropChunk(id.Digest(), 3);
  db_->MarkBuilt();
  Open();  // Stop commits what was queued.
  EXPECT_FALSE(db_->needs_rebuild());
  const auto record = db_->FindObject(id.Digest());
  ASSERT_TRUE(record && *record);
  EXPECT_EQ((*record)->id, id);
  EXPECT_TRUE((*record)->dirty);
  EXPECT_EQ((*record)->present_chunks, 66u);
  EXPECT_EQ((*record)->present_bytes, 66 * kChunk);
  EXPECT_EQ(db_->FindChunk(id.Digest(), 6).value(), 43u);
  EXPECT_EQ(db_->FindChunk(id.Digest(), 3).value(), std::nullopt);
  EXPECT_EQ(db_->FindChunk(id.Digest(), 4).value(), std::nullopt);
  EXPECT_EQ(db_->FindChunk(Id("b").Digest(), 0).value(), std::nullopt);
  EXPECT_EQ(problem_, "");
}

TEST_F(IndexDbTest, ReplaceIsExact) {
  Open();
  const auto id = Id("a");
  const auto other = Id("b");
  db_->Replace(other, kChunk, {{1, 11}});
  db_->Replace(id, kChunk, {{0, 1}, {64, 2}, {199, 3}});
  db_->Replace(id, kChunk, {{5, 4}, {64, 5}});
  Flush();
  EXPECT_EQ(db_->FindChunk(id.Digest(), 0).value(), std::nullopt);
  EXPECT_EQ(db_->FindChunk(id.Digest(), 199).value(), std::nullopt);
  EXPECT_EQ(db_->FindChunk(id.Digest(), 64).value(), 5u);
  EXPECT_EQ(db_->FindChunk(other.Digest(), 1).value(), 11u);
  EXPECT_EQ((*db_->FindObject(id.Digest()))->present_chunks, 2u);
  db_->Remove(id.Digest());
  Flush();
  EXPECT_EQ(db_->FindObject(id.Digest()).value(), std::nullopt);
  EXPECT_EQ(db_->Objects()->size(), 1u);
}

TEST_F(IndexDbTest, DirtyIsAnsweredAfterTheCommit) {
  Open();
  std::promise<bool> promise;
  const auto id = Id("a");
  db_->MarkDirty(id, kChunk, [&](const Result<void>& r) {
    const auto record = db_->FindObject(id.Digest());
    promise.set_value(r && record && *record && (*record)->dirty);
  });
  EXPECT_TRUE(promise.get_future().get());
  db_->MarkClean(id.Digest(), 4096);
  db_->SetVerified(id.Digest(), Verified::kSelf);
  Flush();
  EXPECT_FALSE((*db_->FindObject(id.Digest()))->dirty);
  EXPECT_EQ((*db_->FindObject(id.Digest()))->verified, Verified::kSelf);
}

TEST_F(IndexDbTest, GrowsItsMapWhileItIsRead) {
  Open(1 << 20);
  constexpr std::uint64_t kChunks = 64'000;  // 8 MiB of records, then 35 MiB more.
  std::vector<IndexedChunk> chunks;
  chunks.reserve(kChunks);
  for (std::uint64_t i = 0; i < kChunks; ++i) chunks.push_back({i * 16, i});
  const auto id = Id("huge", kChunks * 16);
  db_->Replace(id, kChunk, std::move(chunks));
  db_->Replace(Id("small"), kChunk, {{1, 2}});
  Flush();
  std::vector<IndexedChunk> more;
  for (std::uint64_t i = 0; i < kChunks; ++i) more.push_back({i * 64, i});
  db_->Replace(Id("second", kChunks * 64), kChunk, std::move(more));
  std::atomic<bool> flushed{false};
  db_->Flush([&](const Result<void>&) { flushed = true; });
  while (!flushed) EXPECT_EQ(db_->FindChunk(Id("small").Digest(), 1).value(), 2u);
  EXPECT_EQ(db_->FindChunk(id.Digest(), 16).value(), 1u);
  EXPECT_EQ(db_->FindChunk(Id("second", kChunks * 64).Digest(), 64).value(), 1u);
  EXPECT_EQ(problem_, "");
}

class DamagedIndexTest : public IndexDbTest {
 protected:
  void SetUp() override {
    Open();
    db_->Replace(Id("a"), kChunk, {{1, 2}});
    db_->MarkBuilt();
    db_.reset();
  }
  std::filesystem::path data_ = dir_.path() / "index" / "data.mdb";
};

TEST_F(DamagedIndexTest, AnIntactOneIsKept) {
  Open();
  EXPECT_FALSE(db_->needs_rebuild());
  EXPECT_EQ(db_->Objects()->size(), 1u);
}

TEST_F(DamagedIndexTest, MissingFileMeansRebuild) {
  std::filesystem::remove(data_);
  Open();
  EXPECT_TRUE(db_->needs_rebuild());
}

TEST_F(DamagedIndexTest, GarbageMeansRebuild) {
  std::ofstream(data_, std::ios::binary | std::ios::trunc) << std::string(100'000, 'x');
  Open();
  EXPECT_TRUE(db_->needs_rebuild());
  EXPECT_TRUE(std::filesystem::exists(data_.string() + ".damaged"));
}

TEST_F(DamagedIndexTest, AFlippedByteMeansRebuild) {
  std::fstream file(data_, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(3 * 4096 + 20);
  file.put('\x5a');
  file.close();
  Open();
  EXPECT_TRUE(db_->needs_rebuild());
}

TEST_F(DamagedIndexTest, ACutFileMeansRebuild) {
  std::filesystem::remove(dir_.path() / "index" / "stamp");  // As after a kill.
  std::filesystem::resize_file(data_, 2 * 4096);
  Open();
  EXPECT_TRUE(db_->needs_rebuild());
}

TEST_F(DamagedIndexTest, AnEmptyFileMeansRebuild) {
  std::filesystem::remove(dir_.path() / "index" / "stamp");
  std::filesystem::resize_file(data_, 0);
  Open();
  EXPECT_TRUE(db_->needs_rebuild());
}

TEST_F(DamagedIndexTest, AfterAKillItIsTrusted) {
  std::filesystem::remove(dir_.path() / "index" / "stamp");
  Open();
  EXPECT_FALSE(db_->needs_rebuild());
}

}  // namespace
}  // namespace modelfs::index
