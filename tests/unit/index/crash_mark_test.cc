#include "index/crash_mark.h"

#include <gtest/gtest.h>

#include "tests/support/temp_dir.h"

namespace modelfs::index {
namespace {

class CrashMarkTest : public ::testing::Test {
 protected:
  test::TempDir dir_;
  std::filesystem::path file_ = dir_.path() / "mark";
};

TEST_F(CrashMarkTest, OneDeathMayBeChance) {
  CrashMark(file_).Enter();
  EXPECT_FALSE(CrashMark(file_).HopelessIndex());
}

TEST_F(CrashMarkTest, TwoInARowAreNot) {
  CrashMark(file_).Enter();
  CrashMark(file_).Enter();
  CrashMark third(file_);
  EXPECT_TRUE(third.HopelessIndex());
  third.Forget();
  third.Enter();
  third.Leave();
  EXPECT_FALSE(CrashMark(file_).HopelessIndex());
}

TEST_F(CrashMarkTest, WhoComesOutOftenForgives) {
  CrashMark(file_).Enter();
  CrashMark second(file_);
  for (int i = 0; i < 4; ++i) {
    second.Enter();
    second.Leave();
  }
  second.Enter();
  EXPECT_FALSE(CrashMark(file_).HopelessIndex());
}

TEST_F(CrashMarkTest, AnOrderlyCloseLeavesNothing) {
  CrashMark mark(file_);
  mark.Enter();
  mark.Remove();
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(CrashMarkTest, WithoutAFileItKnowsNothing) {
  CrashMark mark(dir_.path() / "none" / "mark");
  mark.Enter();
  mark.Leave();
  EXPECT_FALSE(mark.HopelessIndex());
}

}  // namespace
}  // namespace modelfs::index
