#include "fetch/http/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <vector>

namespace modelfs::fetch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = Timer::Clock;

const Clock::time_point kStart{std::chrono::hours(1)};
const Random kAlmostOne = [] { return 0.999999; };
const Random kZero = [] { return 0.0; };

class RetryPolicyTest : public testing::Test {
 protected:
  std::shared_ptr<RetryBudget> budget_ = std::make_shared<RetryBudget>();
};

TEST_F(RetryPolicyTest, DoublesItsCeilingUpToTheCap) {
  RetryPolicy policy({.max_attempts = 12}, budget_, kAlmostOne, kStart);
  std::vector<std::int64_t> delays;
  while (const auto delay = policy.Next(RetryKind::kTransient, std::nullopt, kStart))
    delays.push_back(delay->count());
  EXPECT_THAT(delays,
              testing::ElementsAre(49, 99, 199, 399, 799, 1599, 3199, 6399, 12799, 19999, 19999));
}

TEST_F(RetryPolicyTest, StartsSlowerWhenThrottled) {
  RetryPolicy policy({.max_attempts = 8}, budget_, kAlmostOne, kStart);
  std::vector<std::int64_t> delays;
  while (const auto delay = policy.Next(RetryKind::kThrottling, std::nullopt, kStart))
    delays.push_back(delay->count());
  EXPECT_THAT(delays, testing::ElementsAre(999, 1999, 3999, 7999, 15999, 19999, 19999));
}

TEST_F(RetryPolicyTest, JitterReachesZero) {
  RetryPolicy policy({}, budget_, kZero, kStart);
  EXPECT_EQ(policy.Next(RetryKind::kThrottling, std::nullopt, kStart), milliseconds(0));
}

TEST_F(RetryPolicyTest, WaitsAsLongAsTheServerAsksWithinTheCap) {
  RetryPolicy policy({}, budget_, kZero, kStart);
  EXPECT_EQ(policy.Next(RetryKind::kThrottling, seconds(3), kStart), seconds(3));
  EXPECT_EQ(policy.Next(RetryKind::kThrottling, seconds(3000), kStart), seconds(20));
}

TEST_F(RetryPolicyTest, GoesOnPastItsAttemptsWhilePatient) {
  RetryPolicy policy({.max_attempts = 2, .patience = seconds(10)}, budget_, kAlmostOne, kStart);
  EXPECT_TRUE(policy.Next(RetryKind::kTransient, std::nullopt, kStart));
  EXPECT_TRUE(policy.Next(RetryKind::kTransient, std::nullopt, kStart + seconds(5)));
  // The last delay ends with the patience.
  EXPECT_LE(policy.Next(RetryKind::kThrottling, std::nullopt, kStart + milliseconds(9'900)),
            milliseconds(100));
  EXPECT_FALSE(policy.Next(RetryKind::kTransient, std::nullopt, kStart + seconds(10)));
}

TEST_F(RetryPolicyTest, CountsAnewAfterProgress) {
  RetryPolicy policy({.max_attempts = 2}, budget_, kAlmostOne, kStart);
  EXPECT_TRUE(policy.Next(RetryKind::kTransient, std::nullopt, kStart));
  policy.Progress(kStart);
  EXPECT_EQ(policy.Next(RetryKind::kTransient, std::nullopt, kStart), milliseconds(49));
  EXPECT_FALSE(policy.Next(RetryKind::kTransient, std::nullopt, kStart));
}

TEST_F(RetryPolicyTest, BeginsNoAttemptAfterTheDeadline) {
  RetryPolicy policy({.deadline = kStart + milliseconds(60)}, budget_, kAlmostOne, kStart);
  EXPECT_TRUE(policy.Next(RetryKind::kTransient, std::nullopt, kStart));
  EXPECT_FALSE(policy.Next(RetryKind::kTransient, std::nullopt, kStart));
}

TEST_F(RetryPolicyTest, TakesFromTheBudgetAndGivesBackOnSuccess) {
  RetryPolicy policy({}, budget_, kZero, kStart);
  static_cast<void>(policy.Next(RetryKind::kTransient, std::nullopt, kStart));
  static_cast<void>(policy.Next(RetryKind::kThrottling, std::nullopt, kStart));
  EXPECT_EQ(budget_->Left(), 500 - 14 - 5);
  policy.Succeeded();
  EXPECT_EQ(budget_->Left(), 500);
}

TEST_F(RetryPolicyTest, AFailureKeepsWhatItTookAndAFirstSuccessAddsOne) {
  {
    RetryPolicy failed({.max_attempts = 2}, budget_, kZero, kStart);
    static_cast<void>(failed.Next(RetryKind::kTransient, std::nullopt, kStart));
    EXPECT_FALSE(failed.Next(RetryKind::kTransient, std::nullopt, kStart));
  }
  EXPECT_EQ(budget_->Left(), 486);
  RetryPolicy smooth({}, budget_, kZero, kStart);
  smooth.Succeeded();
  EXPECT_EQ(budget_->Left(), 487);
}

TEST_F(RetryPolicyTest, AnEmptyBudgetMakesItSlowNotFail) {
  while (budget_->Take(14)) {
  }
  RetryPolicy policy({}, budget_, kZero, kStart);
  EXPECT_EQ(policy.Next(RetryKind::kTransient, std::nullopt, kStart), milliseconds(2'500));
  RetryPolicy other({}, budget_, kAlmostOne, kStart);
  EXPECT_EQ(other.Next(RetryKind::kTransient, std::nullopt, kStart), milliseconds(4'999));
}

TEST_F(RetryPolicyTest, AnAnswerWithoutSenseCostsTheOthersNothing) {
  while (budget_->Take(14)) {
  }
  const int left = budget_->Left();
  RetryPolicy policy({.max_attempts = 3}, budget_, kAlmostOne, kStart);
  EXPECT_EQ(policy.Next(RetryKind::kNonsense, std::nullopt, kStart), milliseconds(49));
  EXPECT_EQ(policy.Next(RetryKind::kNonsense, std::nullopt, kStart), milliseconds(99));
  EXPECT_FALSE(policy.Next(RetryKind::kNonsense, std::nullopt, kStart));
  EXPECT_EQ(budget_->Left(), left);
}

TEST(RetryBudget, NeverHoldsMoreThanItsCapacity) {
  RetryBudget budget;
  budget.Return(1000);
  EXPECT_EQ(budget.Left(), RetryBudget::kCapacity);
  EXPECT_FALSE(budget.Take(501));
  EXPECT_TRUE(budget.Take(500));
  EXPECT_FALSE(budget.Take(1));
}

}  // namespace
}  // namespace modelfs::fetch
