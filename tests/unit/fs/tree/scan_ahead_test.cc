#include "fs/tree/scan_ahead.h"

#include <gtest/gtest.h>

namespace modelfs::fs {
namespace {

using Clock = ScanAhead::Clock;
using std::chrono::seconds;

TEST(ScanAheadTest, SecondFileOfADirectoryIsAScan) {
  ScanAhead scans;
  const auto now = Clock::now();
  EXPECT_FALSE(scans.NoteOpen(1, 0, now));
  EXPECT_FALSE(scans.NoteOpen(2, 0, now));
  EXPECT_FALSE(scans.NoteOpen(1, 0, now)) << "the same file again";
  EXPECT_TRUE(scans.NoteOpen(1, 1, now));
  EXPECT_FALSE(scans.NoteOpen(1, 2, now)) << "said twice";
}

TEST(ScanAheadTest, AfterAFewTheFirstIsEnough) {
  ScanAhead scans;
  const auto now = Clock::now();
  for (std::uint32_t serial = 1; serial <= 3; ++serial) {
    scans.NoteOpen(serial, 0, now);
    EXPECT_TRUE(scans.NoteOpen(serial, 1, now));
  }
  EXPECT_TRUE(scans.NoteOpen(4, 0, now));
  EXPECT_TRUE(scans.NoteListed(5, now)) << "not even that has to be waited for";
  EXPECT_FALSE(scans.NoteListed(5, now));
  EXPECT_FALSE(scans.NoteOpen(6, 0, now + seconds(11))) << "a habit is forgotten";
  EXPECT_FALSE(scans.NoteListed(7, now + seconds(11)));
}

TEST(ScanAheadTest, SlowReadersHaveNoHabit) {
  ScanAhead scans;
  auto now = Clock::now();
  for (std::uint32_t serial = 1; serial <= 10; ++serial) {
    EXPECT_FALSE(scans.NoteOpen(serial, 0, now));
    EXPECT_TRUE(scans.NoteOpen(serial, 1, now));
    now += seconds(11);
  }
}

TEST(ScanAheadTest, SecondFolderIsAWalk) {
  ScanAhead scans;
  const auto now = Clock::now();
  EXPECT_FALSE(scans.NoteFolder(1, 7, now));
  EXPECT_FALSE(scans.NoteFolder(1, 7, now)) << "the same folder again";
  EXPECT_TRUE(scans.NoteFolder(1, 8, now));
  EXPECT_FALSE(scans.NoteFolder(1, 9, now)) << "said twice";
}

}  // namespace
}  // namespace modelfs::fs
