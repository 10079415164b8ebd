#include "fetch/base/bandwidth.h"

#include <gtest/gtest.h>

namespace modelfs {
namespace {

using std::chrono::milliseconds;
using Need = Bandwidth::Need;

constexpr std::uint64_t kMiB = 1 << 20;

class BandwidthTest : public ::testing::Test {
 protected:
  /// Takes pieces of `piece` bytes for `time`, as soon as each is allowed. Returns their sum.
  std::uint64_t TakeFor(milliseconds time, std::uint64_t piece, Need need) {
    const auto end = now_ + time;
    std::uint64_t taken = 0;
    while (now_ < end) {
      const auto delay = bandwidth_.Take(piece, need, now_);
      if (delay == Bandwidth::Clock::duration()) {
        taken += piece;
      } else {
        now_ += delay;
      }
    }
    return taken;
  }

  Bandwidth bandwidth_;
  Bandwidth::Clock::time_point now_{std::chrono::hours(5)};
};

TEST_F(BandwidthTest, WithoutALimitNothingWaits) {
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(bandwidth_.Take(kMiB, Need::kAhead, now_), milliseconds(0));
  }
}

TEST_F(BandwidthTest, WhatComesIsTheLimit) {
  bandwidth_.SetLimit(10 * kMiB);
  const auto taken = TakeFor(milliseconds(10'000), 300'000, Need::kAhead);
  EXPECT_NEAR(static_cast<double>(taken), 100.0 * kMiB, 2.0 * kMiB);
}

TEST_F(BandwidthTest, APieceLargerThanASecondIsPaidForAfterwards) {
  bandwidth_.SetLimit(100'000);
  EXPECT_EQ(bandwidth_.Take(500'000, Need::kAhead, now_), milliseconds(0));
  const auto delay = bandwidth_.Take(1, Need::kAhead, now_);
  EXPECT_GT(delay, milliseconds(4'900));
  EXPECT_LE(delay, milliseconds(5'000));
  EXPECT_EQ(bandwidth_.Delay(Need::kAhead, now_ + delay), milliseconds(0));
}

TEST_F(BandwidthTest, WhoIsWaitedForGoesFirstAndPaysAsMuch) {
  bandwidth_.SetLimit(10 * kMiB);
  ASSERT_EQ(bandwidth_.Take(kMiB, Need::kAhead, now_), milliseconds(0));
  EXPECT_GT(bandwidth_.Take(kMiB, Need::kAhead, now_), milliseconds(0));
  EXPECT_EQ(bandwidth_.Take(kMiB, Need::kWaitedFor, now_), milliseconds(0));
  const auto taken = TakeFor(milliseconds(10'000), kMiB, Need::kWaitedFor);
  EXPECT_NEAR(static_cast<double>(taken), 100.0 * kMiB, 4.0 * kMiB);
}

TEST_F(BandwidthTest, WhatWasNotUsedIsNotSaved) {
  bandwidth_.SetLimit(10 * kMiB);
  now_ += std::chrono::hours(1);
  const auto taken = TakeFor(milliseconds(1'000), 100'000, Need::kAhead);
  EXPECT_LE(taken, 11 * kMiB);
}

TEST_F(BandwidthTest, AnotherLimitHoldsAtOnce) {
  bandwidth_.SetLimit(kMiB);
  ASSERT_EQ(bandwidth_.Take(10 * kMiB, Need::kAhead, now_), milliseconds(0));
  bandwidth_.SetLimit(0);
  EXPECT_EQ(bandwidth_.Delay(Need::kAhead, now_), milliseconds(0));
  EXPECT_EQ(bandwidth_.Take(kMiB, Need::kAhead, now_), milliseconds(0));
}

}  // namespace
}  // namespace modelfs
