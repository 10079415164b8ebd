#include "fs/daemon/runtime_files.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

TEST(OpenLogTest, RemovesOldLogsOfDaemonsThatHaveEnded) {
  const test::TempDir temp;
  const stdfs::path folder = temp.path() / "run";
  stdfs::create_directory(folder);
  stdfs::permissions(folder, stdfs::perms::owner_all);
  const auto make = [&](const char* name, int days_ago) {
    std::ofstream(folder / name) << "x";
    stdfs::last_write_time(folder / name,
                           stdfs::file_time_type::clock::now() - std::chrono::hours(24 * days_ago));
  };
  make("old.log", 8);
  make("old.log.1", 8);
  make("young.log", 6);
  make("served.log", 8);
  make("served.log.1", 8);
  make("served.sock", 8);
  make("other.txt", 8);
  ASSERT_TRUE(OpenLog((folder / "mine.sock").string()));
  EXPECT_FALSE(stdfs::exists(folder / "old.log"));
  EXPECT_FALSE(stdfs::exists(folder / "old.log.1"));
  for (const char* kept : {"young.log", "served.log", "served.log.1", "other.txt", "mine.log"}) {
    EXPECT_TRUE(stdfs::exists(folder / kept)) << kept;
  }
}

}  // namespace
}  // namespace modelfs::fs
