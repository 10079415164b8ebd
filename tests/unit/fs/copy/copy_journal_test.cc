#include "fs/copy/copy_journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

class CopyJournalTest : public testing::Test {
 protected:
  Result<CopyJournal> Open(const std::string& identity) const {
    const Fd directory(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return CopyJournal::Open(directory.get(), identity);
  }
  void AppendText(std::string_view text) const {
    std::ofstream(dir_.path() / "journal", std::ios::app) << text;
  }

  test::TempDir dir_;
  const WrittenPiece first_{.file = 0, .range = {0, 10}, .xxh3 = 0x123};
  const WrittenPiece second_{.file = 7, .range = {10, 25}, .xxh3 = ~std::uint64_t{0}};
};

TEST_F(CopyJournalTest, KnowsWhatAnEarlierRunHasWritten) {
  {
    auto journal = Open("a");
    ASSERT_TRUE(journal);
    EXPECT_FALSE(journal->of_this_copy());
    ASSERT_TRUE(journal->Begin());
    ASSERT_TRUE(journal->Append(second_));
    ASSERT_TRUE(journal->Append(first_));
  }
  const auto journal = Open("a");
  ASSERT_TRUE(journal);
  EXPECT_TRUE(journal->of_this_copy());
  EXPECT_EQ(journal->pieces(), (std::vector{first_, second_}));
}

TEST_F(CopyJournalTest, OfOnePieceTheLaterLineCounts) {
  auto journal = Open("a");
  ASSERT_TRUE(journal && journal->Begin() && journal->Append(first_));
  const WrittenPiece again{.file = 0, .range = {0, 10}, .xxh3 = 9};
  ASSERT_TRUE(journal->Append(again));
  const auto reopened = Open("a");
  ASSERT_TRUE(reopened);
  EXPECT_EQ(reopened->pieces(), std::vector{again});
}

TEST_F(CopyJournalTest, DropsALineThatWasCutOffAndGoesOnBehindIt) {
  {
    auto journal = Open("a");
    ASSERT_TRUE(journal && journal->Begin() && journal->Append(first_));
  }
  AppendText("7 10 2");
  {
    const auto journal = Open("a");
    ASSERT_TRUE(journal);
    EXPECT_EQ(journal->pieces(), std::vector{first_});
    ASSERT_TRUE(journal->Append(second_));
  }
  const auto journal = Open("a");
  ASSERT_TRUE(journal);
  EXPECT_EQ(journal->pieces(), (std::vector{first_, second_}));
}

TEST_F(CopyJournalTest, PassesOverLinesThatMakeNoSense) {
  auto journal = Open("a");
  ASSERT_TRUE(journal && journal->Begin());
  AppendText(
      "x 0 10 1\n0 10 10 1\n0 0 10\n0 0 10 1 2\n0 0 10 zz\n99999999999 0 1 1\n\n0 0 10 123\n");
  const auto reopened = Open("a");
  ASSERT_TRUE(reopened);
  EXPECT_EQ(reopened->pieces(), std::vector{first_});
}

TEST_F(CopyJournalTest, BelievesNothingOfAnotherCopy) {
  auto journal = Open("a");
  ASSERT_TRUE(journal && journal->Begin() && journal->Append(first_));
  auto other = Open("b");
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->of_this_copy());
  EXPECT_TRUE(other->pieces().empty());
}

}  // namespace
}  // namespace modelfs::fs
