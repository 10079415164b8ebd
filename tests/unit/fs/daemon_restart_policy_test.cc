#include <gtest/gtest.h>

#include "fs/daemon/restart_policy.h"

namespace modelfs::fs {
namespace {

using std::chrono::milliseconds;

TEST(RestartPolicyTest, GivesUpWorkersThatNeverServe) {
  RestartPolicy policy(milliseconds(50));
  const RestartPolicy::Clock::time_point now;
  EXPECT_EQ(policy.OnDeath(now), milliseconds(50));
  EXPECT_EQ(policy.OnDeath(now), milliseconds(200));
  EXPECT_EQ(policy.OnDeath(now), milliseconds(800));
  EXPECT_EQ(policy.OnDeath(now), milliseconds(3200));
  EXPECT_EQ(policy.OnDeath(now), std::nullopt);
}

TEST(RestartPolicyTest, ReplacesAtOnceOneThatServed) {
  RestartPolicy policy(milliseconds(50));
  for (int minute = 0; minute < 100; ++minute) {
    policy.OnServing();
    const RestartPolicy::Clock::time_point now(std::chrono::seconds(61 * minute));
    EXPECT_EQ(policy.OnDeath(now), milliseconds(0));
  }
}

TEST(RestartPolicyTest, WaitsUpToAQuarterOfASecondForOneThatOftenDies) {
  RestartPolicy policy(milliseconds(50));
  std::optional<milliseconds> delay;
  for (int death = 0; death < 300; ++death) {
    policy.OnServing();
    delay = policy.OnDeath(RestartPolicy::Clock::time_point());
    ASSERT_TRUE(delay) << death;
    if (death == 1) {
      EXPECT_EQ(delay, milliseconds(50));
    }
  }
  EXPECT_EQ(delay, milliseconds(250));
}

}  // namespace
}  // namespace modelfs::fs
