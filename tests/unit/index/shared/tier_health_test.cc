#include "index/shared/tier_health.h"

#include <gtest/gtest.h>

#include <chrono>

namespace modelfs::test {
namespace {

using index::shared::TierHealth;
using std::chrono::milliseconds;
using Way = TierHealth::Way;

/// When to leave a shared directory alone.
class TierHealthTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kMiB = 1u << 20;

  Way Choose() {
    std::move_only_function<void()> later = [this] { ++woken_; };
    return health_.Choose(later, now_);
  }
  void ReadShared(std::uint64_t bytes, milliseconds time) {
    now_ += time;
    for (auto& later : health_.SharedEnded(bytes, now_)) later();
  }
  void ReadOrigin(std::uint64_t bytes, milliseconds time) {
    health_.OriginBegan(now_);
    health_.OriginArrived(bytes);
    now_ += time;
    for (auto& later : health_.OriginEnded(now_)) later();
  }

  TierHealth health_;
  TierHealth::Clock::time_point now_ = TierHealth::Clock::now();
  int woken_ = 0;
};

TEST_F(TierHealthTest, TheFirstReadsAreMadeOneByOne) {
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(Choose(), Way::kShared);
    EXPECT_EQ(Choose(), Way::kWait);
    EXPECT_EQ(Choose(), Way::kWait);
    ReadShared(kMiB, milliseconds(2));
    EXPECT_EQ(woken_, 2 * (i + 1));
  }
  EXPECT_EQ(Choose(), Way::kShared);
  EXPECT_EQ(Choose(), Way::kShared);
}

TEST_F(TierHealthTest, AMeasurementThatFailsIsFollowedByAnother) {
  EXPECT_EQ(Choose(), Way::kShared);
  EXPECT_EQ(Choose(), Way::kWait);
  ReadShared(0, milliseconds(2));
  EXPECT_EQ(woken_, 1);
  EXPECT_EQ(Choose(), Way::kShared);
  EXPECT_EQ(Choose(), Way::kWait);
}

TEST_F(TierHealthTest, AMuchSlowerDirectoryIsTriedOnceInTenSeconds) {
  ReadOrigin(16 * kMiB, milliseconds(160));
  EXPECT_EQ(Choose(), Way::kShared);
  ReadShared(kMiB, milliseconds(300));
  EXPECT_TRUE(health_.slow());
  EXPECT_EQ(Choose(), Way::kOrigin);
  now_ += TierHealth::kRetry;
  EXPECT_EQ(Choose(), Way::kShared);
  EXPECT_EQ(Choose(), Way::kOrigin);
  ReadShared(kMiB, milliseconds(2));
  EXPECT_FALSE(health_.slow());
  EXPECT_EQ(Choose(), Way::kShared);
}

TEST_F(TierHealthTest, ALittleSlowerIsWorthIt) {
  ReadOrigin(16 * kMiB, milliseconds(160));
  EXPECT_EQ(Choose(), Way::kShared);
  ReadShared(12 * kMiB, milliseconds(300));
  EXPECT_EQ(Choose(), Way::kShared);
}

TEST_F(TierHealthTest, ASlowDirectoryIsComparedWithAnOriginThatNobodyHasAsked) {
  EXPECT_EQ(Choose(), Way::kShared);
  ReadShared(kMiB, milliseconds(300));
  EXPECT_EQ(Choose(), Way::kOrigin);
  EXPECT_EQ(Choose(), Way::kWait);
  ReadOrigin(8 * kMiB, milliseconds(200));
  EXPECT_EQ(woken_, 1);
  EXPECT_TRUE(health_.slow());
  EXPECT_EQ(Choose(), Way::kOrigin);
}

TEST_F(TierHealthTest, AFastDirectoryIsNotCompared) {
  EXPECT_EQ(Choose(), Way::kShared);
  ReadShared(30 * kMiB, milliseconds(300));
  EXPECT_EQ(Choose(), Way::kShared);
  EXPECT_EQ(Choose(), Way::kShared);
}

TEST_F(TierHealthTest, OneThatHangsIsAskedAgainAfterTenSeconds) {
  EXPECT_TRUE(health_.Down("read does not answer", TierHealth::kRetry, now_));
  EXPECT_FALSE(health_.Down("read does not answer", TierHealth::kRetry, now_));
  EXPECT_EQ(Choose(), Way::kOrigin);
  EXPECT_FALSE(health_.RetryDue(now_));
  now_ += TierHealth::kRetry;
  EXPECT_TRUE(health_.RetryDue(now_));
  EXPECT_FALSE(health_.RetryDue(now_));
  EXPECT_FALSE(health_.answers());
  health_.Up();
  EXPECT_TRUE(health_.answers());
  EXPECT_EQ(Choose(), Way::kShared);
}

}  // namespace
}  // namespace modelfs::test
