#include "index/lmdb_records.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "tests/support/temp_dir.h"

namespace modelfs::index {
namespace {

class LmdbRecordsTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void TearDown() override { Close(); }
  void Open() {
    auto db = IndexDb::Open(
        dir_.path() / "index", [this](const Error& e) { problem_ = e.what; }, 1 << 20);
    ASSERT_TRUE(db) << db.error().what;
    db_ = std::move(*db);
    records_ = std::make_unique<LmdbRecords>(*db_, [this](const Error& e) { problem_ = e.what; });
  }
  void Close() {
    db_.reset();
    records_.reset();
    EXPECT_EQ(problem_, "");
  }
  void Flush() {
    std::promise<void> promise;
    db_->Flush([&](const Result<void>&) { promise.set_value(); });
    promise.get_future().get();
  }

  test::TempDir dir_;
  std::string problem_;
  std::unique_ptr<IndexDb> db_;
  std::unique_ptr<LmdbRecords> records_;
};

TEST_F(LmdbRecordsTest, OutlivesTheProcess) {
  const std::string long_key(3000, 'k');
  ASSERT_TRUE(records_->Put(RecordKind::kListing, "a/", "1"));
  ASSERT_TRUE(records_->Put(RecordKind::kListing, long_key, "2"));
  ASSERT_TRUE(records_->Put(RecordKind::kManifest, "a/", ""));
  for (int life = 0; life < 2; ++life) {
    EXPECT_EQ(records_->Get(RecordKind::kListing, "a/"), "1");
    EXPECT_EQ(records_->Get(RecordKind::kListing, long_key), "2");
    EXPECT_EQ(records_->Get(RecordKind::kListing, long_key + "k"), std::nullopt);
    EXPECT_EQ(records_->Get(RecordKind::kManifest, "a/"), "");
    EXPECT_EQ(records_->Get(RecordKind::kRegistry, "a/"), std::nullopt);
    Close();
    Open();
  }
}

TEST_F(LmdbRecordsTest, KeysAreSortedAndIncludeWhatIsPending) {
  const std::string binary("b\0\xff", 3);
  std::string long_key(600, 'x');
  long_key.front() = 'b';
  for (const std::string& key : {std::string("b"), std::string("a"), binary, long_key}) {
    ASSERT_TRUE(records_->Put(RecordKind::kProfile, key, "v"));
  }
  const std::vector<std::string> expected{"b", binary, long_key};
  EXPECT_EQ(records_->Keys(RecordKind::kProfile, "b"), expected);
  Flush();
  EXPECT_EQ(records_->Keys(RecordKind::kProfile, "b"), expected);
  EXPECT_EQ(records_->Keys(RecordKind::kProfile, "").size(), 4u);
  EXPECT_EQ(records_->Keys(RecordKind::kProfile, long_key.substr(0, 590)).size(), 1u);
  EXPECT_TRUE(records_->Keys(RecordKind::kNodes, "").empty());
}

TEST_F(LmdbRecordsTest, TheLastPutCounts) {
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(records_->Put(RecordKind::kNodes, "k", std::to_string(i)));
    EXPECT_EQ(records_->Get(RecordKind::kNodes, "k"), std::to_string(i));
  }
  Flush();
  EXPECT_EQ(records_->Get(RecordKind::kNodes, "k"), "499");
  records_->Erase(RecordKind::kNodes, "k");
  EXPECT_EQ(records_->Get(RecordKind::kNodes, "k"), std::nullopt);
  EXPECT_TRUE(records_->Keys(RecordKind::kNodes, "").empty());
  Flush();
  EXPECT_EQ(records_->Get(RecordKind::kNodes, "k"), std::nullopt);
}

TEST_F(LmdbRecordsTest, LargeValuesGrowTheMap) {
  std::string value;
  value.resize(10'000'000, 'v');
  for (const char* key : {"1", "2", "3"}) {
    ASSERT_TRUE(records_->Put(RecordKind::kListing, key, value + key));
  }
  Close();
  Open();
  EXPECT_EQ(records_->Get(RecordKind::kListing, "2"), value + "2");
  EXPECT_EQ(records_->Keys(RecordKind::kListing, "").size(), 3u);
}

TEST_F(LmdbRecordsTest, AChangedValueIsNotThere) {
  ASSERT_TRUE(records_->Put(RecordKind::kListing, "a", "the value of a"));
  ASSERT_TRUE(records_->Put(RecordKind::kListing, "b", "the value of b"));
  Close();
  std::filesystem::remove(dir_.path() / "index" / "stamp");  // As after a kill.
  const auto file = dir_.path() / "index" / "data.mdb";
  std::string bytes(std::filesystem::file_size(file), '\0');
  std::ifstream(file, std::ios::binary).read(bytes.data(), std::ssize(bytes));
  for (std::size_t at = 0; (at = bytes.find("value of a", at)) != std::string::npos; ++at) {
    bytes[at] = 'V';
  }
  std::ofstream(file, std::ios::binary).write(bytes.data(), std::ssize(bytes));
  Open();
  EXPECT_EQ(records_->Get(RecordKind::kListing, "a"), std::nullopt);
  EXPECT_EQ(records_->Get(RecordKind::kListing, "b"), "the value of b");
  EXPECT_EQ(records_->Keys(RecordKind::kListing, ""), std::vector<std::string>{"b"});
}

TEST_F(LmdbRecordsTest, RefusesWhatIsTooLarge) {
  const std::string key(LmdbRecords::kMostKeyBytes + 1, 'k');
  EXPECT_EQ(records_->Put(RecordKind::kListing, key, "").error().code, Errc::kInvalid);
  std::string value(LmdbRecords::kMostValueBytes + 1, 'v');
  EXPECT_EQ(records_->Put(RecordKind::kListing, "k", std::move(value)).error().code,
            Errc::kInvalid);
}

}  // namespace
}  // namespace modelfs::index
