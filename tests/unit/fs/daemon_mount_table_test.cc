#include <gtest/gtest.h>

#include "fs/daemon/mount_table.h"

namespace modelfs::fs {
namespace {

constexpr const char* kTable =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "30 22 0:45 / /mnt/a rw,nosuid shared:2 master:1 - tmpfs tmpfs rw\n"
    "31 30 0:46 / /mnt/a ro,nosuid,nodev - fuse.modelfs modelfs ro,user_id=0\n"
    "40 22 0:47 / /mnt/with\\040space\\011tab\\134back\\012line ro - fuse.modelfs model\\040fs ro\n"
    "nonsense\n"
    "41 22 0:x / /mnt/b rw - tmpfs tmpfs rw\n"
    "42 22 0:48 / /mnt/b";

TEST(MountTableTest, ParsesWhatTheKernelWrites) {
  const MountTable table = MountTable::Parse(kTable);
  ASSERT_EQ(table.entries().size(), 4u);
  const auto root = table.Find("/");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->device_major, 254u);
  EXPECT_EQ(root->fs_type, "ext4");
  EXPECT_EQ(root->source, "/dev/vda");
}

TEST(MountTableTest, UndoesTheKernelsEscapes) {
  const auto entry = MountTable::Parse(kTable).Find("/mnt/with space\ttab\\back\nline");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->device_minor, 47u);
  EXPECT_EQ(entry->source, "model fs");
}

TEST(MountTableTest, FindsTheTopmostOfStackedMounts) {
  EXPECT_EQ(MountTable::Parse(kTable).Find("/mnt/a")->id, 31);
  // Also when the kernel lists the upper one first.
  const auto reversed = MountTable::Parse(
      "31 30 0:46 / /mnt/a ro - fuse.modelfs modelfs ro\n30 22 0:45 / /mnt/a rw - tmpfs tmpfs "
      "rw\n");
  EXPECT_EQ(reversed.Find("/mnt/a")->id, 31);
}

TEST(MountTableTest, FindsNothingWhereNothingIsMounted) {
  const MountTable table = MountTable::Parse(kTable);
  EXPECT_FALSE(table.Find("/mnt"));
  EXPECT_FALSE(table.Find("/mnt/a/"));
  EXPECT_FALSE(table.Find(""));
  EXPECT_FALSE(MountTable::Parse("").Find("/"));
}

TEST(MountTableTest, FindsByDevice) {
  const MountTable table = MountTable::Parse(kTable);
  ASSERT_TRUE(table.FindMinor(46));
  EXPECT_EQ(table.FindMinor(46)->mountpoint, "/mnt/a");
  EXPECT_FALSE(table.FindMinor(0)) << "254:0 is a block device";
}

TEST(MountTableTest, ReadsThisProcessesTable) {
  const auto table = MountTable::Read();
  ASSERT_TRUE(table) << table.error().what;
  EXPECT_TRUE(table->Find("/proc"));
}

}  // namespace
}  // namespace modelfs::fs
