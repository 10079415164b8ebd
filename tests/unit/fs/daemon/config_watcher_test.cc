#include "fs/daemon/config_watcher.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;
using namespace std::chrono_literals;

class ConfigWatcherTest : public ::testing::Test {
 protected:
  ConfigWatcherTest()
      : watcher_({.reload =
                      [this](SessionId id) {
                        MutexLock lock(mutex_);
                        reloads_[id]++;
                        changed_.NotifyAll();
                      },
                  .period = 5ms}) {}

  bool AwaitReloads(SessionId id, int count) {
    const auto limit = std::chrono::steady_clock::now() + 20s;
    MutexLock lock(mutex_);
    while (reloads_[id] < count) {
      if (!changed_.WaitUntil(mutex_, limit)) return reloads_[id] >= count;
    }
    return true;
  }
  int reloads(SessionId id) {
    MutexLock lock(mutex_);
    return reloads_[id];
  }
  std::string Write(const stdfs::path& path, const std::string& text) {
    std::ofstream(path) << text;
    return path.string();
  }

  test::TempDir temp_;
  Mutex mutex_;
  CondVar changed_;
  std::map<SessionId, int> reloads_ GUARDED_BY(mutex_);
  ConfigWatcher watcher_;  // Last: its thread uses all of the above.
};

TEST_F(ConfigWatcherTest, ReloadsOnceAtFirstAndThenWhenTheFileChanges) {
  const std::string file = Write(temp_.path() / "m.toml", "1");
  watcher_.Watch(7, file);
  ASSERT_TRUE(AwaitReloads(7, 1));
  Write(file, "22");
  ASSERT_TRUE(AwaitReloads(7, 2));
  stdfs::remove(file);
  ASSERT_TRUE(AwaitReloads(7, 3)) << "a file that is gone is news too";
}

TEST_F(ConfigWatcherTest, SeesTheSymlinkSwapOfAConfigMap) {
  const auto root = temp_.path();
  stdfs::create_directories(root / "..v1");
  stdfs::create_directories(root / "..v2");
  Write(root / "..v1" / "m.toml", "same length");
  Write(root / "..v2" / "m.toml", "same length");
  stdfs::create_symlink("..v1", root / "..data");
  stdfs::create_symlink("..data/m.toml", root / "m.toml");
  watcher_.Watch(1, (root / "m.toml").string());
  ASSERT_TRUE(AwaitReloads(1, 1));
  stdfs::create_symlink("..v2", root / "..new");
  stdfs::rename(root / "..new", root / "..data");
  EXPECT_TRUE(AwaitReloads(1, 2));
}

TEST_F(ConfigWatcherTest, ReloadsAllWhenAsked) {
  watcher_.Watch(1, "");
  watcher_.Watch(2, Write(temp_.path() / "m.toml", "1"));
  ASSERT_TRUE(AwaitReloads(2, 1));
  EXPECT_EQ(reloads(1), 0);
  watcher_.ReloadAll();
  EXPECT_TRUE(AwaitReloads(1, 1));
  EXPECT_TRUE(AwaitReloads(2, 2));
}

TEST_F(ConfigWatcherTest, ForgetsAndStops) {
  watcher_.Watch(1, "");
  watcher_.Forget(1);
  watcher_.Watch(2, "");
  watcher_.ReloadAll();
  ASSERT_TRUE(AwaitReloads(2, 1));
  EXPECT_EQ(reloads(1), 0);
  watcher_.Stop();
  watcher_.Stop();
}

}  // namespace
}  // namespace modelfs::fs
