#include "index/shared/shared_sweeper.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "index/shared/dir_files.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {
namespace {

using namespace index::shared;
using std::chrono::hours;
using std::chrono::milliseconds;
namespace stdfs = std::filesystem;

/// Room in a shared directory.
class SharedSweeperTest : public ::testing::Test {
 protected:
  /// An object with one segment of 1000 bytes, last used `idle` ago.
  stdfs::path Object(const std::string& name, milliseconds idle) {
    const stdfs::path folder = "d/x/" + name.substr(0, 2) + "/" + name;
    dir_.Write(folder / "s" / "0", std::string(1000, 'x'));
    dir_.Write(folder / "k" / "1.0", "claim");
    dir_.Write(folder / "u" / "user", "");
    dir_.Write(folder / "meta", "{}");
    for (const char* part : {"u/user", "s", "k"}) Age(folder / part, idle);
    return dir_.path() / folder;
  }
  void Age(const stdfs::path& path, milliseconds age) {
    stdfs::last_write_time(dir_.path() / path, stdfs::file_time_type::clock::now() - age);
  }
  SharedSweeper::Swept Sweep(SharedSweeper::Options options) {
    auto swept = SharedSweeper(files_, heartbeat_, options, stop_).Sweep();
    EXPECT_TRUE(swept) << swept.error().what;
    return swept.value_or(SharedSweeper::Swept());
  }

  TempDir dir_;
  std::shared_ptr<DirFiles> files_ = std::make_shared<DirFiles>(dir_.path());
  Heartbeat heartbeat_{files_, "me"};
  std::atomic<bool> stop_{false};
};

TEST_F(SharedSweeperTest, WhatWasNotUsedForLongestGoes) {
  const auto old = Object("aaa", hours(30));
  const auto older = Object("bbb", hours(40));
  const auto used = Object("ccc", milliseconds(0));
  const auto swept = Sweep({.limit = 2900});
  EXPECT_EQ(swept.objects, 1u);
  EXPECT_FALSE(stdfs::exists(older));
  EXPECT_TRUE(stdfs::exists(old / "s" / "0"));
  EXPECT_TRUE(stdfs::exists(used / "s" / "0"));
}

TEST_F(SharedSweeperTest, WhatIsInUseStaysHoweverFullItIs) {
  const auto used = Object("ccc", milliseconds(0));
  const auto lately = Object("ddd", std::chrono::minutes(30));
  EXPECT_EQ(Sweep({.limit = 10}).objects, 0u);
  EXPECT_TRUE(stdfs::exists(used / "s" / "0"));
  EXPECT_TRUE(stdfs::exists(lately / "s" / "0"));
}

TEST_F(SharedSweeperTest, WithoutALimitNothingGoes) {
  Object("aaa", hours(3000));
  EXPECT_EQ(Sweep({}).kept_bytes, 1000u);
}

TEST_F(SharedSweeperTest, OneSweepsForAll) {
  Object("aaa", hours(30));
  EXPECT_EQ(Sweep({}).kept_bytes, 1000u);
  EXPECT_EQ(Sweep({.limit = 10}).objects, 0u);
  EXPECT_EQ(Sweep({.limit = 10, .interval = milliseconds(0)}).objects, 1u);
}

TEST_F(SharedSweeperTest, ClaimsGoSomeTimeAfterTheirSegmentWasPublished) {
  const auto object = Object("aaa", milliseconds(0));
  for (const char* name : {"s/1", "s/2", "k/0.0", "k/1.3", "k/2.0", "k/3.0", "k/4.0"}) {
    dir_.Write(object / name, "x");
  }
  for (const char* name : {"s/1", "k/1.0", "k/2.0", "k/3.0"}) Age(object / name, hours(1));
  Age(object / "k" / "4.0", hours(3));
  Sweep({});
  EXPECT_FALSE(stdfs::exists(object / "k" / "1.0"));
  EXPECT_FALSE(stdfs::exists(object / "k" / "1.3")) << "its segment is what counts";
  EXPECT_TRUE(stdfs::exists(object / "k" / "2.0")) << "published just now";
  EXPECT_TRUE(stdfs::exists(object / "k" / "3.0")) << "not published";
  EXPECT_FALSE(stdfs::exists(object / "k" / "4.0")) << "nothing came of it";
}

TEST_F(SharedSweeperTest, WhatTheDeadHaveLeftGoes) {
  dir_.Write("t/dead.1", "x");
  dir_.Write("t/young.1", "x");
  dir_.Write("q/old", "x");
  dir_.Write("q/new", "x");
  Age("t/dead.1", hours(3));
  Age("q/old", hours(50));
  Sweep({});
  EXPECT_FALSE(stdfs::exists(dir_.path() / "t" / "dead.1"));
  EXPECT_TRUE(stdfs::exists(dir_.path() / "t" / "young.1"));
  EXPECT_FALSE(stdfs::exists(dir_.path() / "q" / "old"));
  EXPECT_TRUE(stdfs::exists(dir_.path() / "q" / "new"));
}

}  // namespace
}  // namespace modelfs::test
