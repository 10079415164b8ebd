#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "fs/daemon/owner_lock.h"
#include "fs/daemon/runtime_files.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using ::testing::HasSubstr;

class OwnerLockTest : public testing::Test {
 protected:
  std::optional<OwnerLock> Acquire() const {
    auto lock = OwnerLock::TryAcquire(dir_.path());
    EXPECT_TRUE(lock) << lock.error().what;
    return *std::move(lock);
  }
  const test::TempDir dir_;
};

TEST_F(OwnerLockTest, HasOneOwnerAtATime) {
  auto first = Acquire();
  ASSERT_TRUE(first);
  EXPECT_FALSE(Acquire());
  first.reset();
  EXPECT_TRUE(Acquire());
}

TEST_F(OwnerLockTest, StaysTakenWhileACopyOfItsDescriptorLives) {
  auto first = Acquire();
  ASSERT_TRUE(first);
  Fd copy(::dup(first->fd()));
  first.reset();
  EXPECT_FALSE(Acquire()) << "a worker outlives its supervisor";
  copy.Reset();
  EXPECT_TRUE(Acquire());
}

TEST_F(OwnerLockTest, TellsOthersWhoHasIt) {
  auto lock = Acquire();
  ASSERT_TRUE(lock->Record({.pid = 123456, .host = "a-long-host-name", .control_socket = "/s1"}));
  ASSERT_TRUE(lock->Record({.pid = 7, .host = "h", .control_socket = "/s"}));
  const auto owner = OwnerLock::ReadOwner(dir_.path());
  ASSERT_TRUE(owner);
  EXPECT_EQ(owner->pid, 7);
  EXPECT_EQ(owner->host, "h");
  EXPECT_EQ(owner->control_socket, "/s");
}

TEST_F(OwnerLockTest, ReadsNothingFromAFileThatMakesNoSense) {
  EXPECT_FALSE(OwnerLock::ReadOwner(dir_.path()));
  for (const char* text : {"", "{", "[]", "{\"pid\": \"x\", \"host\": 1}", "{\"pid\": 1}"}) {
    dir_.Write("owner", text);
    EXPECT_FALSE(OwnerLock::ReadOwner(dir_.path())) << text;
  }
}

TEST_F(OwnerLockTest, IsNotFooledByAReplacedFile) {
  auto first = Acquire();
  std::filesystem::remove(dir_.path() / "owner");
  EXPECT_TRUE(Acquire()) << "the old file guards nothing any more";
}

TEST(RuntimeFilesTest, MakesTheCacheDirectoryWithItsParents) {
  const test::TempDir dir;
  const auto cache = dir.path() / "a/b/cache";
  ASSERT_TRUE(PrepareCacheDirectory(cache));
  ASSERT_TRUE(PrepareCacheDirectory(cache)) << "the second time";
  struct stat info;
  ASSERT_EQ(::stat(cache.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
}

TEST(RuntimeFilesTest, SaysWhatIsWrongWithACacheDirectory) {
  const test::TempDir dir;
  dir.Write("file", "x");
  const auto file = PrepareCacheDirectory(dir.path() / "file");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().what, HasSubstr("is not a directory"));
  const auto below = PrepareCacheDirectory(dir.path() / "file/cache");
  ASSERT_FALSE(below);
  EXPECT_THAT(below.error().what, HasSubstr("cannot be made"));
}

TEST(RuntimeFilesTest, AppendsToALogAndSetsALargeOneAside) {
  const test::TempDir dir;
  const std::string socket = dir.path() / "run/x.sock";
  for (int i = 0; i < 2; ++i) {
    const auto log = OpenLog(socket);
    ASSERT_TRUE(log) << log.error().what;
    ASSERT_EQ(::write(log->get(), "line\n", 5), 5);
  }
  EXPECT_EQ(std::filesystem::file_size(dir.path() / "run/x.log"), 10u);
  std::filesystem::resize_file(dir.path() / "run/x.log", (16u << 20) + 1);
  ASSERT_TRUE(OpenLog(socket));
  EXPECT_EQ(std::filesystem::file_size(dir.path() / "run/x.log"), 0u);
  EXPECT_TRUE(std::filesystem::exists(dir.path() / "run/x.log.1"));
}

TEST(RuntimeFilesTest, RefusesALogFolderThatOthersCanWriteTo) {
  const test::TempDir dir;
  std::filesystem::create_directory(dir.path() / "run");
  ASSERT_EQ(::chmod((dir.path() / "run").c_str(), 0777), 0);
  const auto log = OpenLog(dir.path() / "run/x.sock");
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().code, Errc::kDenied);
}

}  // namespace
}  // namespace modelfs::fs
