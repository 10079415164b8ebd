#include "tests/support/origin/link.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace modelfs::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

const Link::Gone kStays = [] { return false; };
const Link::Gone kLeaves = [] { return true; };

/// Takes `bytes` from the link; how long that took.
double SecondsFor(Link& link, Pace& pace, std::size_t bytes) {
  const Clock::time_point start = Clock::now();
  while (bytes > 0) bytes -= link.Acquire(pace, bytes, 0, kStays);
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TEST(LinkTest, ParsesRatesAndDurations) {
  EXPECT_EQ(ParseRate("85MB/s").value(), 85e6);
  EXPECT_EQ(ParseRate("100 MiB/s").value(), 100.0 * 1024 * 1024);
  EXPECT_EQ(ParseRate("1Gbit/s").value(), 125e6);
  EXPECT_EQ(ParseRate("10Mbit").value(), 1.25e6);
  EXPECT_EQ(ParseRate("0").value(), 0);
  EXPECT_EQ(ParseRate("1").value(), 1);
  EXPECT_EQ(ParseRate("fast").error().code, Errc::kInvalid);
  EXPECT_FALSE(ParseRate("-1MB/s"));
  EXPECT_FALSE(ParseRate("1 parsec"));
  EXPECT_EQ(ParseDuration("20ms").value(), milliseconds(20));
  EXPECT_EQ(ParseDuration("1.5s").value(), milliseconds(1500));
  EXPECT_EQ(ParseDuration("0").value(), milliseconds(0));
  EXPECT_FALSE(ParseDuration("20"));
}

TEST(LinkTest, HandsOutAllAtOnceWithoutALimit) {
  Link link({});
  Pace pace;
  EXPECT_EQ(link.Acquire(pace, 1 << 30, 0, kStays), std::size_t{1} << 30);
}

TEST(LinkTest, HoldsAConnectionToItsRate) {
  Link link({.connection_rate = 10e6});
  Pace pace;
  // Never sooner than the rate allows, but for the credit of 5 ms. Later it may be: we do not own
  // the processor.
  EXPECT_GE(SecondsFor(link, pace, 1'000'000), 0.094);
}

TEST(LinkTest, SharesTheTotalRate) {
  Link link({.connection_rate = 100e6, .total_rate = 10e6});
  const Clock::time_point start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        Pace pace;
        SecondsFor(link, pace, 250'000);
      });
    }
  }
  EXPECT_GE(std::chrono::duration<double>(Clock::now() - start).count(), 0.094);
}

TEST(LinkTest, HandsOutSmallSlices) {
  Link link({.total_rate = 1e6});
  Pace pace;
  EXPECT_LE(link.Acquire(pace, 1 << 20, 0, kStays), 4000u);
}

TEST(LinkTest, LetsAWaiterGoWhenTheRateChanges) {
  Link link({.connection_rate = 0.001});
  Pace pace;
  const Clock::time_point start = Clock::now();
  std::jthread waiter([&] { EXPECT_EQ(link.Acquire(pace, 1, 0, kStays), 1u); });
  // Either it waits already, or it finds the new options.
  link.Set({});
  waiter.join();
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(100));
}

TEST(LinkTest, EndsAWaitWhenTheClientIsGone) {
  Link link({.connection_rate = 0.001});
  Pace pace;
  EXPECT_EQ(link.Acquire(pace, 1, 0, kLeaves), 0u);
  EXPECT_FALSE(link.Delay(std::chrono::hours(1), kLeaves));
  EXPECT_FALSE(link.Stall(kLeaves));
}

TEST(LinkTest, ReleasesThoseWhoStall) {
  Link link({});
  std::atomic<int> released = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] { released += link.Stall(kStays) ? 1 : 0; });
  }
  ASSERT_TRUE(link.WaitForStalled(3, milliseconds(10'000)));
  EXPECT_EQ(released, 0);
  link.Release();
  threads.clear();
  EXPECT_EQ(released, 3);
  EXPECT_EQ(link.stalled(), 0u);
  EXPECT_FALSE(link.WaitForStalled(1, milliseconds(1)));
}

TEST(LinkTest, EndsEverythingWhenItCloses) {
  Link link({});
  std::jthread staller([&] { EXPECT_FALSE(link.Stall(kStays)); });
  ASSERT_TRUE(link.WaitForStalled(1, milliseconds(10'000)));
  link.Close();
  staller.join();
  Pace pace;
  EXPECT_EQ(link.Acquire(pace, 1, 0, kStays), 0u);
  EXPECT_FALSE(link.Delay(milliseconds(0), kStays));
}

}  // namespace
}  // namespace modelfs::test
