#include "index/link.h"

#include <gtest/gtest.h>

namespace modelfs::index {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kMiB = 1 << 20;

/// A second of a link that carries `mib_per_second` by eight requests at once, 50 ms away.
Link::Clock::time_point Carry(Link& link, std::uint64_t mib_per_second,
                              Link::Clock::time_point now) {
  for (int tick = 0; tick < 20; ++tick, now += milliseconds(50)) {
    link.Arrived(mib_per_second * kMiB / 20, now);
    const std::uint64_t rate_of_one = mib_per_second / 8;
    link.Finished(milliseconds(50), milliseconds(1000 * 4 / rate_of_one), 4 * kMiB, now);
  }
  return now;
}

TEST(LinkTest, BeginsWithOneChunkAndLittleUnderWay) {
  Link link(kMiB);
  EXPECT_EQ(link.RequestChunks(Priority::kNear), 1u);
  EXPECT_EQ(link.WindowBytes(Priority::kNear), 8 * kMiB);
  EXPECT_EQ(link.WindowBytes(Priority::kPlan), 4 * kMiB);
}

TEST(LinkTest, AsksForWhatTheLinkCarries) {
  Link link(kMiB);
  const auto now = Carry(link, 400, Link::Clock::now());
  EXPECT_EQ(link.RequestChunks(Priority::kNear, now), 12u)
      << "a quarter of a second of one request";
  // More than fills it, so that it shows whether it carries more.
  EXPECT_GT(link.WindowBytes(Priority::kNear, now), 2 * 400 * kMiB / 20);
  EXPECT_LE(link.WindowBytes(Priority::kNear, now), 256 * kMiB);
}

TEST(LinkTest, ASlowLinkIsNotFilledFarAhead) {
  Link link(kMiB);
  const auto now = Carry(link, 8, Link::Clock::now());
  EXPECT_EQ(link.RequestChunks(Priority::kPlan, now), 1u);
  EXPECT_LE(link.WindowBytes(Priority::kPlan, now), 32 * kMiB);
}

TEST(LinkTest, APlanYieldsToWhoeverWaits) {
  Link link(kMiB);
  const auto now = Carry(link, 400, Link::Clock::now());
  const auto before = link.WindowBytes(Priority::kPlan, now);
  link.DemandBegan();
  EXPECT_LE(link.WindowBytes(Priority::kPlan, now), before);
  EXPECT_EQ(link.WindowBytes(Priority::kNear, now), before) << "a sequence does not";
  link.DemandEnded(now);
  EXPECT_EQ(link.WindowBytes(Priority::kPlan, now + milliseconds(300)), before);
}

TEST(LinkTest, ForgetsAfterAWhile) {
  Link link(kMiB);
  const auto now = Carry(link, 400, Link::Clock::now());
  const auto later = now + std::chrono::seconds(60);
  link.Arrived(1, later);
  EXPECT_EQ(link.WindowBytes(Priority::kPlan, later), 4 * kMiB);
}

}  // namespace
}  // namespace modelfs::index
