#include "index/lmdb_check.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "index/lmdb_store.h"
#include "tests/support/temp_dir.h"

namespace modelfs::index {
namespace {

using Table = LmdbStore::Table;

class LmdbCheckTest : public ::testing::Test {
 protected:
  std::unique_ptr<LmdbStore> Open() {
    auto store = LmdbStore::Open(dir_.path());
    EXPECT_TRUE(store) << store.error().what;
    return std::move(*store);
  }
  static void Put(LmdbStore& store, std::uint64_t key, std::size_t size) {
    const std::string name = std::to_string(key);
    const std::string value(size, 'v');
    ASSERT_TRUE(store.Write([&](MDB_txn* txn) {
      MDB_val k{name.size(), const_cast<char*>(name.data())};
      MDB_val v{value.size(), const_cast<char*>(value.data())};
      return mdb_put(txn, store.table(Table::kRecords), &k, &v, 0);
    }));
  }
  static void Delete(LmdbStore& store, std::uint64_t key) {
    const std::string name = std::to_string(key);
    ASSERT_TRUE(store.Write([&](MDB_txn* txn) {
      MDB_val k{name.size(), const_cast<char*>(name.data())};
      const int rc = mdb_del(txn, store.table(Table::kRecords), &k, nullptr);
      return rc == MDB_NOTFOUND ? 0 : rc;
    }));
  }
  /// Trees of several levels, values of several pages, and many free pages.
  void Fill() {
    const auto store = Open();
    std::mt19937_64 chance(1);
    for (int i = 0; i < 3000; ++i) {
      const std::uint64_t key = chance() % 800;
      if (chance() % 3 == 0) {
        Delete(*store, key);
      } else {
        Put(*store, key, chance() % 10 == 0 ? chance() % 30'000 : chance() % 300);
      }
    }
  }
  void Overwrite(std::uint64_t at, const std::string& bytes) const {
    std::fstream file(data_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << bytes;
  }
  test::TempDir dir_;
  std::filesystem::path data_ = dir_.path() / "data.mdb";
};

TEST_F(LmdbCheckTest, AFileOfLmdbIsSound) {
  {
    Open();
  }
  EXPECT_TRUE(CheckLmdbFile(data_));
  Fill();
  const auto checked = CheckLmdbFile(data_);
  EXPECT_TRUE(checked) << checked.error().what;
}

TEST_F(LmdbCheckTest, AMissingFileIsNotFound) {
  EXPECT_EQ(CheckLmdbFile(data_).error().code, Errc::kNotFound);
}

TEST_F(LmdbCheckTest, ACutFileIsNot) {
  Fill();
  std::filesystem::resize_file(data_, std::filesystem::file_size(data_) / 2);
  EXPECT_EQ(CheckLmdbFile(data_).error().code, Errc::kCorrupt);
}

TEST_F(LmdbCheckTest, NoPageInUseMayBeAnother) {
  Fill();
  const auto good = dir_.path() / "good";
  std::filesystem::copy_file(data_, good);
  const std::uint64_t pages = std::filesystem::file_size(data_) / 4096;
  std::uint64_t found = 0;
  for (std::uint64_t page = 0; page < pages; ++page) {
    Overwrite(page * 4096, std::string(4096, '\0'));
    found += CheckLmdbFile(data_) ? 0 : 1;
    std::filesystem::copy_file(good, data_, std::filesystem::copy_options::overwrite_existing);
  }
  EXPECT_GT(found, 20u);  // The rest is free, or inside a value.
}

TEST_F(LmdbCheckTest, WhatIsNotSoundIsSetAside) {
  Fill();
  Overwrite(8, std::string(8000, 'x'));
  const auto store = Open();
  EXPECT_TRUE(std::filesystem::exists(data_.string() + ".damaged"));
  Put(*store, 1, 10);
}

TEST_F(LmdbCheckTest, AReopenedFileIsSoundToo) {
  for (int i = 0; i < 20; ++i) {
    const auto store = Open();
    for (std::uint64_t key = 0; key < 50; ++key) {
      Put(*store, static_cast<std::uint64_t>(i) * 7 + key, key * 200);
    }
    Delete(*store, static_cast<std::uint64_t>(i));
    const auto checked = CheckLmdbFile(data_);
    ASSERT_TRUE(checked) << checked.error().what;
  }
}

}  // namespace
}  // namespace modelfs::index
