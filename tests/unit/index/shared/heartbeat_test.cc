#include "index/shared/heartbeat.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "index/shared/dir_files.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {
namespace {

using namespace index::shared;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
namespace stdfs = std::filesystem;

/// Who lives, by the clock of a filesystem.
class HeartbeatTest : public ::testing::Test {
 protected:
  void Age(const std::string& name, milliseconds age) {
    stdfs::last_write_time(dir_.path() / "i" / name, stdfs::file_time_type::clock::now() - age);
  }

  TempDir dir_;
  std::shared_ptr<DirFiles> files_ = std::make_shared<DirFiles>(dir_.path());
  Heartbeat mine_{files_, "mine"};
  Heartbeat other_{files_, "other"};
};

TEST_F(HeartbeatTest, WhoHasJustBeatenLives) {
  ASSERT_TRUE(other_.Beat());
  EXPECT_LT(mine_.AgeOf("other").value(), seconds(1));
  EXPECT_TRUE(stdfs::exists(dir_.path() / "i" / "mine"));
}

TEST_F(HeartbeatTest, WhoHasNoFileYetIsNotDeadYet) {
  EXPECT_LT(mine_.AgeOf("nobody").value(), Heartbeat::kSuspect);
}

TEST_F(HeartbeatTest, ASilenceByTheClockOfAnotherHostIsNoSilence) {
  ASSERT_TRUE(other_.Beat());
  Age("other", hours(1));  // By a client whose clock is wrong.
  EXPECT_LT(mine_.AgeOf("other").value(), Heartbeat::kSuspect);
  Age("other", -hours(1));
  EXPECT_LT(mine_.AgeOf("other").value(), Heartbeat::kSuspect);
}

TEST_F(HeartbeatTest, TimesAreAgesByTheFilesystem) {
  ASSERT_TRUE(other_.Beat());
  Age("other", hours(1));
  const auto facts = files_->Look("i/other");
  ASSERT_TRUE(facts);
  EXPECT_GT(mine_.Since(facts->modified_ns).value(), std::chrono::minutes(59));
  EXPECT_LT(mine_.Since(facts->modified_ns).value(), std::chrono::minutes(61));
}

}  // namespace
}  // namespace modelfs::test
