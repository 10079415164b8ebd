#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fs/daemon/mount_point.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using ::testing::HasSubstr;

class MountPointTest : public testing::Test {
 protected:
  std::filesystem::path Make(const std::string& name) const {
    std::filesystem::create_directories(dir_.path() / name);
    return dir_.path() / name;
  }
  MountTable TableWith(const std::string& mountpoint, const std::string& type) const {
    return MountTable::Parse("50 1 0:99 / " + mountpoint + " ro - " + type + " modelfs ro\n");
  }
  const test::TempDir dir_;
  const MountTable empty_;
};

TEST_F(MountPointTest, AcceptsAnEmptyDirectory) {
  const auto path = Make("empty");
  const auto resolved = ResolveMountPoint(path, empty_);
  ASSERT_TRUE(resolved) << resolved.error().what;
  EXPECT_EQ(*resolved, path);
  EXPECT_TRUE(CheckMountPoint(*resolved, empty_));
}

TEST_F(MountPointTest, ResolvesSymlinksAndSlashes) {
  const auto path = Make("real/inner");
  std::filesystem::create_directory_symlink(dir_.path() / "real", dir_.path() / "link");
  std::filesystem::create_directory_symlink(path, dir_.path() / "direct");
  EXPECT_EQ(*ResolveMountPoint(dir_.path() / "link/inner//", empty_), path);
  EXPECT_EQ(*ResolveMountPoint(dir_.path() / "direct", empty_), path);
  EXPECT_EQ(*ResolveMountPoint(path / "..", empty_), dir_.path() / "real");
}

TEST_F(MountPointTest, DoesNotTouchWhatIsMounted) {
  // The folder does not exist: looking at it would fail.
  const std::string path = Make("parent") / "mounted";
  EXPECT_EQ(*ResolveMountPoint(path, TableWith(path, "fuse.modelfs")), path);
  std::filesystem::create_directory_symlink(dir_.path() / "parent", dir_.path() / "link");
  EXPECT_EQ(*ResolveMountPoint(dir_.path() / "link/mounted", TableWith(path, "fuse.modelfs")),
            path);
}

TEST_F(MountPointTest, RefusesWhatIsMissing) {
  const auto result = ResolveMountPoint(dir_.path() / "missing", empty_);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::kNotFound);
  EXPECT_THAT(result.error().what, HasSubstr("does not exist"));
  EXPECT_EQ(CheckMountPoint(dir_.path() / "missing", empty_).error().code, Errc::kNotFound);
}

TEST_F(MountPointTest, RefusesAFile) {
  const auto file = dir_.Write("file", "x");
  const auto result = CheckMountPoint(file, empty_);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what, HasSubstr("is not a directory"));
}

TEST_F(MountPointTest, RefusesADirectoryWithSomethingInIt) {
  dir_.Write("full/thing", "x");
  const auto result = CheckMountPoint(dir_.path() / "full", empty_);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what, HasSubstr("is not empty (it holds 'thing')"));
}

TEST_F(MountPointTest, RefusesAMountThatAnswers) {
  const std::string path = Make("mounted");
  const auto result = CheckMountPoint(path, TableWith(path, "fuse.modelfs"));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what, HasSubstr("already mounted"));
  EXPECT_FALSE(CheckMountPoint(path, TableWith(path, "fuse.sshfs")));
}

TEST_F(MountPointTest, AcceptsAnEmptyVolume) {
  const std::string path = Make("volume");
  EXPECT_TRUE(CheckMountPoint(path, TableWith(path, "tmpfs")));
}

TEST_F(MountPointTest, RefusesWhatIsNoPlaceForAMount) {
  EXPECT_EQ(ResolveMountPoint("relative", empty_).error().code, Errc::kInvalid);
  EXPECT_EQ(ResolveMountPoint("", empty_).error().code, Errc::kInvalid);
  EXPECT_EQ(ResolveMountPoint("/", empty_).error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace modelfs::fs
