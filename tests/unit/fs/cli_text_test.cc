// Progress, tables and the doctor's knowledge.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fetch/base/size.h"
#include "fs/cli/doctor/cache_checks.h"
#include "fs/cli/doctor/machine_checks.h"
#include "fs/cli/progress.h"
#include "fs/cli/status_text.h"
#include "fs/cli/text_table.h"

namespace modelfs::fs {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(ProgressTest, TellsBytesRateAndTimeLeft) {
  Progress progress;
  const Progress::Clock::time_point start{};
  EXPECT_EQ(progress.Text(), "looking for files");
  progress.Update(start,
                  {.bytes_done = 0, .bytes_total = 100 * kMiB, .files_done = 0, .files_total = 2});
  EXPECT_EQ(progress.BytesPerSecond(), 0);
  progress.Update(
      start + 2s,
      {.bytes_done = 20 * kMiB, .bytes_total = 100 * kMiB, .files_done = 1, .files_total = 2});
  EXPECT_DOUBLE_EQ(progress.BytesPerSecond(), 10.0 * kMiB);
  EXPECT_THAT(progress.Text(), HasSubstr("20%"));
  EXPECT_THAT(progress.Text(), HasSubstr("1 of 2 files"));
  EXPECT_THAT(progress.Text(), HasSubstr("10 MiB/s"));
  EXPECT_THAT(progress.Text(), HasSubstr("8 s left"));
}

TEST(ProgressTest, ForgetsOldRates) {
  Progress progress;
  const Progress::Clock::time_point start{};
  for (int second = 0; second <= 60; ++second) {
    // 10 MiB in each of the first 30 s, then 1 MiB in each.
    const std::uint64_t mib = second <= 30 ? 10u * second : 300u + (second - 30u);
    progress.Update(start + std::chrono::seconds(second),
                    {.bytes_done = mib * kMiB, .bytes_total = kGiB});
  }
  EXPECT_DOUBLE_EQ(progress.BytesPerSecond(), 1.0 * kMiB);
}

TEST(ProgressTest, IsWholeOnlyWhenItIs) {
  Progress progress;
  progress.Update({},
                  {.bytes_done = 9999, .bytes_total = 10000, .files_done = 1, .files_total = 1});
  EXPECT_THAT(progress.Text(), HasSubstr(" 99%"));
  progress.Update({}, {.bytes_done = 10000, .bytes_total = 10000});
  EXPECT_THAT(progress.Text(), HasSubstr("100%"));
  Progress empty_files;
  empty_files.Update({}, {.files_done = 3, .files_total = 3});
  EXPECT_THAT(empty_files.Text(), HasSubstr("100%"));
}

TEST(ProgressTest, FitsItsTerminal) {
  Progress progress;
  progress.Update({}, {.bytes_done = 50, .bytes_total = 100, .files_done = 1, .files_total = 2});
  EXPECT_TRUE(progress.Bar(200).starts_with("[####"));
  for (int columns = 1; columns < 200; ++columns) {
    EXPECT_LE(progress.Bar(columns).size(), static_cast<std::size_t>(std::max(columns, 80)));
  }
  EXPECT_LT(progress.Bar(20).size(), 20u);
}

TEST(TextTableTest, AlignsAndLeavesNoBlanksAtTheEnd) {
  TextTable table({"A", "LONG", "C"});
  table.Add({"xxxx", "y", ""});
  EXPECT_EQ(table.Text(), "A     LONG  C\nxxxx  y\n");
}

TEST(StatusTextTest, StandsAnythingAndShowsNoControlCharacters) {
  EXPECT_NE(StatusText(nlohmann::json::object(), {}), "");
  EXPECT_NE(StatusText(nlohmann::json::array(), {}), "");
  const auto text = StatusText(
      {{"mounts", {{{"mountpoint", "/m\x1b[31m"}, {"sources", {{{"name", "a\nb"}}}}}}}}, {});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("/m?[31m"));
  EXPECT_THAT(text, HasSubstr("a?b"));
}

TEST(StatusTextTest, SaysWhatIsWrong) {
  const auto text = StatusText({{"healthy", false},
                                {"problem", "disk: Input/output error"},
                                {"cache", {{"quarantined_chunks", 3}, {"uncached_writes", 4}}}},
                               {});
  EXPECT_THAT(text, HasSubstr("UNHEALTHY: disk: Input/output error"));
  EXPECT_THAT(text, HasSubstr("set aside: 3"));
  EXPECT_THAT(text, HasSubstr("not kept"));
}

TEST(DoctorTest, JudgesKernels) {
  EXPECT_EQ(CheckKernel("6.9.0").level, Finding::Level::kOk);
  EXPECT_EQ(CheckKernel("7.0-rc1").level, Finding::Level::kOk);
  EXPECT_EQ(CheckKernel("6.1.0-18-amd64").level, Finding::Level::kWarn);
  EXPECT_EQ(CheckKernel("4.19").level, Finding::Level::kWarn);
  EXPECT_EQ(CheckKernel("strange").level, Finding::Level::kWarn);
}

TEST(DoctorTest, ACacheThatCannotBeWrittenFails) {
  DaemonSpec spec;
  spec.cache_directory = "/proc/modelfs-cache";
  const auto findings = CheckCache(spec);
  ASSERT_FALSE(findings.empty());
  EXPECT_EQ(findings[0].level, Finding::Level::kFail);
  EXPECT_THAT(findings[0].what, HasSubstr("/proc"));
}

}  // namespace
}  // namespace modelfs::fs
