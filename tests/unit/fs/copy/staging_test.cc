#include "fs/copy/staging.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "fs/copy/file_io.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;
using Kind = PlaceState::Kind;

class StagingTest : public testing::Test {
 protected:
  StagingTest() { stdfs::create_directory(parent_); }

  Result<Staging> Open(const std::string& identity = "a") const {
    return Staging::Open(parent_, "1", identity);
  }
  stdfs::path Files() const { return stdfs::path(Staging::Path(parent_, "1")) / "files"; }
  static CopyFile FileAt(const std::string& path, std::uint64_t size) {
    return {.path = path,
            .object = {.domain = "", .source = "", .key = path, .tag = "", .size_bytes = size}};
  }
  static void Write(const Staging& staging, const CopyFile& file) {
    const auto fd = staging.OpenFile(file.path, file.object.size_bytes);
    ASSERT_TRUE(fd) << fd.error().what;
    const std::vector<std::byte> bytes(file.object.size_bytes, std::byte{'x'});
    ASSERT_TRUE(WriteAt(fd->get(), 0, bytes, file.path));
  }
  Kind Look(const std::string& model = "m", std::uint64_t number = 1) const {
    const auto state = LookAtPlace(place_, model, number);
    EXPECT_TRUE(state) << state.error().what;
    return state ? state->kind : Kind::kForeign;
  }
  void PublishWhole() const {
    const auto staging = Open();
    ASSERT_TRUE(staging);
    for (const CopyFile& file : list_.files) Write(*staging, file);
    const auto published = staging->Publish(list_);
    ASSERT_TRUE(published) << published.error().what;
  }

  test::TempDir dir_;
  const std::string parent_ = dir_.path() / "models";
  const std::string place_ = parent_ + "/1";
  const CopyList list_{.subject = {.model = "m", .number = 1, .created_ms = 77},
                       .files = {FileAt("a/b/c", 3), FileAt("a/d", 0), FileAt("e", 5)}};
};

TEST_F(StagingTest, PutsTheWholeInItsPlaceAtOnce) {
  EXPECT_EQ(Look(), Kind::kFree);
  const auto staging = Open();
  ASSERT_TRUE(staging);
  for (const CopyFile& file : list_.files) Write(*staging, file);
  EXPECT_FALSE(stdfs::exists(place_));
  ASSERT_TRUE(staging->Publish(list_));
  EXPECT_EQ(stdfs::file_size(place_ + "/a/b/c"), 3);
  EXPECT_EQ(Look(), Kind::kWhole);
  EXPECT_EQ(Look("other"), Kind::kForeign);
  EXPECT_EQ(Look("m", 2), Kind::kForeign);
  EXPECT_EQ(LookAtPlace(place_, "m", 1, 77)->kind, Kind::kWhole);
  EXPECT_EQ(LookAtPlace(place_, "m", 1, 78)->kind, Kind::kDamaged) << "made anew";
  Staging::Remove(parent_, "1");
  EXPECT_FALSE(stdfs::exists(Staging::Path(parent_, "1")));
}

TEST_F(StagingTest, AnEmptyFolderInThePlaceIsNothingButAFullOneStays) {
  stdfs::create_directory(place_);
  EXPECT_EQ(Look(), Kind::kFree);
  PublishWhole();
  const auto again = Open();
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->Publish(list_));
  EXPECT_EQ(Look(), Kind::kWhole);
}

TEST_F(StagingTest, SeesWhenACopyIsNotWholeAnyMore) {
  PublishWhole();
  stdfs::resize_file(place_ + "/e", 4);
  EXPECT_EQ(Look(), Kind::kDamaged);
  stdfs::remove(place_ + "/e");
  EXPECT_EQ(Look(), Kind::kDamaged);
  stdfs::create_directory(place_ + "/e");
  EXPECT_EQ(Look(), Kind::kDamaged);
}

TEST_F(StagingTest, WhatHasNoRecordIsForeign) {
  stdfs::create_directory(place_);
  std::ofstream(place_ + "/e") << "half";
  EXPECT_EQ(Look(), Kind::kForeign);
  stdfs::remove_all(place_);
  std::ofstream(place_) << "a file";
  EXPECT_EQ(Look(), Kind::kForeign);
  stdfs::remove(place_);
  stdfs::create_directory_symlink(dir_.path(), place_);
  EXPECT_EQ(Look(), Kind::kForeign);
}

TEST_F(StagingTest, TakesOnItsOwnRestsAndRemovesThoseOfAnother) {
  const WrittenPiece piece{.file = 2, .range = {0, 5}, .xxh3 = 1};
  {
    const auto staging = Open();
    ASSERT_TRUE(staging);
    Write(*staging, list_.files[2]);
    ASSERT_TRUE(staging->Record(piece));
  }
  {
    const auto staging = Open();
    ASSERT_TRUE(staging);
    EXPECT_EQ(staging->pieces(), std::vector{piece});
    EXPECT_TRUE(stdfs::exists(Files() / "e"));
  }
  const auto staging = Open("b");
  ASSERT_TRUE(staging);
  EXPECT_TRUE(staging->pieces().empty());
  EXPECT_FALSE(stdfs::exists(Files() / "e"));
}

TEST_F(StagingTest, FollowsNoSymbolicLinkOutOfIt) {
  const stdfs::path outside = dir_.path() / "outside";
  stdfs::create_directory(outside);
  dir_.Write("outside/e", "mine");
  {
    const auto staging = Open();
    ASSERT_TRUE(staging);
    stdfs::create_directory_symlink(outside, Files() / "a");
    stdfs::create_symlink(outside / "e", Files() / "e");
    EXPECT_FALSE(staging->OpenFile("a/d", 1));
    EXPECT_FALSE(staging->OpenFile("e", 1));
  }
  // Nor when it is removed, or was put in the place of the folder itself.
  ASSERT_TRUE(Open("b"));
  Staging::Remove(parent_, "1");
  stdfs::create_directory_symlink(outside, Staging::Path(parent_, "1"));
  EXPECT_FALSE(Open());
  EXPECT_EQ(stdfs::file_size(outside / "e"), 4);
  EXPECT_EQ(std::distance(stdfs::directory_iterator(outside), {}), 1);
}

}  // namespace
}  // namespace modelfs::fs
