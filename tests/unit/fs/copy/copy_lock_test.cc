#include "fs/copy/copy_lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

class CopyLockTest : public testing::Test {
 protected:
  test::TempDir dir_;
  const std::string path_ = dir_.path() / "lock";
};

TEST_F(CopyLockTest, OneAtATimeHasIt) {
  {
    const auto mine = CopyLock::TryAcquire(path_);
    ASSERT_TRUE(mine && *mine);
    const auto other = CopyLock::TryAcquire(path_);
    ASSERT_TRUE(other);
    EXPECT_FALSE(other->has_value());
    EXPECT_TRUE(CopyLock::Holder(path_).starts_with("process " + std::to_string(::getpid())))
        << CopyLock::Holder(path_);
  }
  const auto next = CopyLock::TryAcquire(path_);
  EXPECT_TRUE(next && *next);
}

TEST_F(CopyLockTest, ALockOnAFileThatWasRemovedHoldsNobodyUp) {
  const auto old = CopyLock::TryAcquire(path_);
  ASSERT_TRUE(old && *old);
  std::filesystem::remove(path_);
  const auto next = CopyLock::TryAcquire(path_);
  EXPECT_TRUE(next && *next);
}

TEST_F(CopyLockTest, FollowsNoSymbolicLink) {
  std::filesystem::create_symlink(dir_.path() / "elsewhere", path_);
  EXPECT_FALSE(CopyLock::TryAcquire(path_));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "elsewhere"));
}

}  // namespace
}  // namespace modelfs::fs
