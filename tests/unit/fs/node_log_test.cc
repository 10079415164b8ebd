#include "fs/tree/node_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

namespace modelfs::fs {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Records(const NodeLog& log) {
  std::vector<std::string> records;
  const auto done = log.Replay([&](std::string_view record) {
    records.emplace_back(record);
    return Result<void>();
  });
  EXPECT_TRUE(done) << done.error().what;
  return records;
}

TEST(NodeLogTest, GivesASuccessorWhatWasAppended) {
  const auto log = *NodeLog::Create();
  log->Append("first");
  log->Append("");
  log->Append(std::string(100'000, 'x'));
  const auto next = *NodeLog::Adopt(*log->Share());
  EXPECT_THAT(Records(*next), ElementsAre("first", "", std::string(100'000, 'x')));
  next->Append("more");
  const auto third = *NodeLog::Adopt(*next->Share());
  EXPECT_EQ(Records(*third).size(), 4u);
}

TEST(NodeLogTest, ForgetsWhatAKillLeftBehindTheCommittedPart) {
  const auto log = *NodeLog::Create();
  log->Append("whole");
  const Fd copy = *log->Share();
  const off_t end = ::lseek(copy.get(), 0, SEEK_END);
  ASSERT_EQ(::pwrite(copy.get(), "torn", 4, end), 4);
  const auto next = *NodeLog::Adopt(*log->Share());
  EXPECT_THAT(Records(*next), ElementsAre("whole"));
  next->Append("next");
  EXPECT_THAT(Records(*next), ElementsAre("whole", "next"));
}

TEST(NodeLogTest, RefusesWhatIsNoLog) {
  EXPECT_EQ(NodeLog::Adopt(Fd(::memfd_create("empty", MFD_CLOEXEC))).error().code, Errc::kCorrupt);
  EXPECT_EQ(NodeLog::Adopt(Fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC))).error().code,
            Errc::kCorrupt);
}

TEST(NodeLogTest, RefusesALengthThatLeadsBeyondItsEnd) {
  const auto log = *NodeLog::Create();
  log->Append("record");
  const std::uint32_t length = 7;
  ASSERT_EQ(::pwrite(log->Share()->get(), &length, sizeof length, 16),
            static_cast<ssize_t>(sizeof length));
  const auto read = log->Replay([](std::string_view) { return Result<void>(); });
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kCorrupt);
}

TEST(NodeLogTest, IsNoGoodToASuccessorOnceSomethingCouldNotBeKept) {
  const auto log = *NodeLog::Create();
  log->Append("kept");
  log->Append(std::string(NodeLog::kMaxRecordBytes + 1, 'x'));
  EXPECT_TRUE(log->broken());
  log->Append("later");
  EXPECT_FALSE(NodeLog::Adopt(*log->Share()));
}

TEST(NodeLogTest, KeepsRecordsOfSeveralThreadsApart) {
  const auto log = *NodeLog::Create();
  {
    std::vector<std::jthread> writers;
    for (const char c : {'a', 'b', 'c', 'd'}) {
      writers.emplace_back([&log, c] {
        for (std::size_t i = 0; i < 200; ++i) log->Append(std::string(i, c));
      });
    }
  }
  const auto records = Records(*log);
  EXPECT_EQ(records.size(), 800u);
  for (const std::string& record : records) {
    EXPECT_EQ(record.find_first_not_of(record.empty() ? ' ' : record[0]), std::string::npos);
  }
}

}  // namespace
}  // namespace modelfs::fs
