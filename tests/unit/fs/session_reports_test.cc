#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "fs/session/session.h"
#include "tests/unit/fs/fake_kernel.h"
#include "tests/unit/fs/fake_reports.h"
#include "tests/unit/fs/held_cache.h"

namespace modelfs::fs {
namespace {

using test::As;
using test::FakeKernel;

/// The kernel's side of the files below `.modelfs`.
class SessionReportsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    kernel_.SendRaw(FakeKernel::InitMessage());
    auto session = Session::Start(
        kernel_.TakeDevice(), Tree::Create({.sources = {}, .cache = cache_, .reports = reports_}),
        {.threads = 1});
    ASSERT_TRUE(session) << session.error().what;
    session_ = std::move(*session);
    ASSERT_TRUE(kernel_.Receive());
    entry_ = Lookup(Lookup(1, ".modelfs").nodeid, "status.json");
    ASSERT_NE(entry_.nodeid, 0u);
  }
  void TearDown() override {
    if (session_) session_->Stop();
    reports_->held.clear();
  }
  FakeKernel::Answer Answer() { return kernel_.Receive().value_or(FakeKernel::Answer{}); }
  fuse_entry_out Lookup(std::uint64_t parent, std::string_view name) {
    kernel_.SendLookup(parent, name);
    return As<fuse_entry_out>(Answer().body);
  }
  std::uint64_t SendOpen(std::uint32_t flags = O_RDONLY) {
    fuse_open_in in{};
    in.flags = flags;
    return kernel_.Send(FUSE_OPEN, entry_.nodeid, &in, sizeof in);
  }
  std::uint64_t Open() {
    SendOpen();
    return As<fuse_open_out>(Answer().body).fh;
  }
  FakeKernel::Answer Read(std::uint64_t handle, std::uint64_t offset, std::uint32_t size = 4096) {
    fuse_read_in in{};
    in.fh = handle;
    in.offset = offset;
    in.size = size;
    kernel_.Send(FUSE_READ, entry_.nodeid, &in, sizeof in);
    return Answer();
  }
  std::string Text(std::uint64_t handle, std::uint64_t offset = 0, std::uint32_t size = 4096) {
    const auto answer = Read(handle, offset, size);
    EXPECT_EQ(answer.error, 0);
    return {reinterpret_cast<const char*>(answer.body.data()), answer.body.size()};
  }

  FakeKernel kernel_;
  std::shared_ptr<test::FakeReports> reports_ = std::make_shared<test::FakeReports>();
  std::shared_ptr<test::HeldCache> cache_ = std::make_shared<test::HeldCache>();
  std::unique_ptr<Session> session_;
  fuse_entry_out entry_{};
};

TEST_F(SessionReportsTest, IsAFileWhoseSizeAndTimeAreNotKept) {
  EXPECT_EQ(entry_.attr.mode, static_cast<unsigned>(S_IFREG | 0444));
  EXPECT_EQ(entry_.attr.size, 0u);
  EXPECT_EQ(entry_.attr_valid, 0u);
  EXPECT_EQ(entry_.attr_valid_nsec, 0u);
  SendOpen();
  const auto out = As<fuse_open_out>(Answer().body);
  EXPECT_NE(out.open_flags & FOPEN_DIRECT_IO, 0u) << "or the kernel would stop at size 0";
  EXPECT_EQ(out.open_flags & FOPEN_KEEP_CACHE, 0u);
}

TEST_F(SessionReportsTest, EachOpenIsOneTextToItsEnd) {
  const auto one = Open();
  const auto two = Open();
  EXPECT_NE(one, two);
  EXPECT_EQ(Text(one, 0, 3), "sta");
  EXPECT_EQ(Text(two), "status 2\n");
  EXPECT_EQ(Text(one, 3), "tus 1\n");
  EXPECT_EQ(Text(one, 9), "");
  EXPECT_EQ(Text(one, 1 << 20), "");
  EXPECT_TRUE(cache_->wanted().empty()) << "nothing of it is the cache's";
}

TEST_F(SessionReportsTest, WhoeverOpensWaitsWithoutAThread) {
  reports_->holding = true;
  const auto open = SendOpen();
  EXPECT_TRUE(Lookup(1, ".modelfs").nodeid) << "the one thread goes on";
  ASSERT_EQ(reports_->held.size(), 1u);
  reports_->held.front()("late");
  const auto answer = Answer();
  EXPECT_EQ(answer.unique, open);
  EXPECT_EQ(Text(As<fuse_open_out>(answer.body).fh), "late");
}

TEST_F(SessionReportsTest, AFileOpenedBeforeThisProcessStartsAnew) {
  EXPECT_EQ(Text(7, 0, 3), "sta");
  EXPECT_EQ(Text(7, 3), "tus 1\n") << "of the text that it began with";
  EXPECT_EQ(Read(8, 3).error, -ESTALE) << "never the end of another text";
}

TEST_F(SessionReportsTest, ATextIsLetGoOfWithItsHandle) {
  const auto handle = Open();
  fuse_release_in in{};
  in.fh = handle;
  kernel_.Send(FUSE_RELEASE, entry_.nodeid, &in, sizeof in);
  EXPECT_EQ(Answer().error, 0);
  EXPECT_EQ(Read(handle, 3).error, -ESTALE);
}

TEST_F(SessionReportsTest, RefusesToBeWritten) {
  SendOpen(O_RDWR);
  EXPECT_EQ(Answer().error, -EROFS);
}

}  // namespace
}  // namespace modelfs::fs
