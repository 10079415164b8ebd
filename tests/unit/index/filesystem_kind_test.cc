#include "index/filesystem_kind.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace modelfs::index {
namespace {

TEST(FilesystemKindTest, KnowsFilesystems) {
  EXPECT_EQ(ClassifyFilesystem(0xEF53).name, "ext4");
  EXPECT_EQ(ClassifyFilesystem(0x6969).kind, FilesystemKind::Class::kNetwork);
  EXPECT_EQ(ClassifyFilesystem(0x01021994).kind, FilesystemKind::Class::kMemory);
  EXPECT_EQ(ClassifyFilesystem(0x794C7630).kind, FilesystemKind::Class::kOverlay);
  EXPECT_EQ(ClassifyFilesystem(0x1234).name, "type 0x1234");
}

TEST(FilesystemKindTest, WhatIsNotThereLiesWhereItWouldBeMade) {
  const test::TempDir dir;
  EXPECT_EQ(FilesystemKindOf(dir.path() / "a" / "b").name, FilesystemKindOf(dir.path()).name);
  EXPECT_EQ(FilesystemKindOf("/proc/self").name, "type 0x9fa0");
}

}  // namespace
}  // namespace modelfs::index
