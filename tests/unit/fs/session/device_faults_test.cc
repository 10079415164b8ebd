#include "fs/session/device_faults.h"

#include <gtest/gtest.h>

#include <array>

#include "fs/session/device.h"
#include "tests/support/script_fault_points.h"
#include "tests/unit/fs/fake_kernel.h"

namespace modelfs::fs {
namespace {

class DeviceFaultsTest : public ::testing::Test {
 protected:
  void Take() {
    std::array<std::byte, 4096> buffer{};
    ASSERT_GT(device_.Read(buffer.data(), buffer.size()), 0);
  }
  void Answer(std::uint64_t unique) {
    fuse_out_header header{.len = sizeof header, .error = 0, .unique = unique};
    const iovec part{&header, sizeof header};
    ASSERT_EQ(device_.Write(&part, 1), static_cast<ssize_t>(sizeof header));
  }

  test::FakeKernel kernel_;
  test::ScriptFaultPoints points_;
  const Fd fd_ = kernel_.TakeDevice();
  Device device_{fd_.get(), &points_};
};

TEST_F(DeviceFaultsTest, AreNamedByTheRequest) {
  const auto read = kernel_.SendRead(1, 0, 10);
  const auto lookup = kernel_.SendLookup(1, "a");
  Take();
  Take();
  EXPECT_EQ(points_.hits("session.read"), 1u);
  EXPECT_EQ(points_.hits("session.lookup"), 1u);
  EXPECT_EQ(points_.hits("session.read.reply"), 0u);
  Answer(lookup);
  EXPECT_EQ(points_.hits("session.lookup.reply"), 1u);
  EXPECT_EQ(points_.hits("session.lookup.replied"), 1u);
  EXPECT_EQ(points_.hits("session.read.replied"), 0u);
  Answer(read);
  EXPECT_EQ(points_.hits("session.read.reply"), 1u);
  EXPECT_EQ(points_.hits("session.read.replied"), 1u);
}

TEST_F(DeviceFaultsTest, ANotificationIsNoAnswer) {
  const auto read = kernel_.SendRead(1, 0, 10);
  Take();
  Answer(0);
  EXPECT_EQ(points_.hits("session.read.reply"), 0u);
  Answer(read);
  EXPECT_EQ(points_.hits("session.read.reply"), 1u);
}

}  // namespace
}  // namespace modelfs::fs
