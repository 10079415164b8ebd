#include "fs/session/request_record.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "fs/session/session.h"
#include "fs/tree/node_log.h"
#include "tests/unit/fs/fake_kernel.h"
#include "tests/unit/fs/held_cache.h"
#include "tests/unit/fs/held_origin.h"

namespace modelfs::fs {
namespace {

using test::FakeKernel;
using test::FileEntry;

constexpr std::size_t kFirstLanding = 16 + 4096 * 512;

std::vector<std::uint64_t> UniquesOf(const std::vector<std::vector<std::byte>>& messages) {
  std::vector<std::uint64_t> uniques;
  for (const auto& message : messages) {
    FuseInHeader header;
    std::memcpy(&header, message.data(), sizeof header);
    uniques.push_back(header.unique);
  }
  return uniques;
}

class RequestRecordTest : public ::testing::Test {
 protected:
  RequestRecordTest() : device_(kernel_.TakeDevice()) {}

  ssize_t Read() { return record_->Read(device_.get(), buffer_.data(), buffer_.size()); }

  FakeKernel kernel_;
  const Fd device_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kMaxFuseMessageBytes);
  const std::shared_ptr<RequestRecord> record_ = *RequestRecord::Create();
};

TEST_F(RequestRecordTest, RemembersUntilTheAnswer) {
  const auto first = kernel_.SendRead(7, 4096, 16);
  const auto second = kernel_.SendRead(7, 8192, 16);
  const ssize_t got = Read();
  Read();
  const auto unanswered = record_->Unanswered();
  ASSERT_EQ(UniquesOf(unanswered), (std::vector{first, second}));
  EXPECT_EQ(static_cast<ssize_t>(unanswered[0].size()), got) << "the whole message";
  record_->OnAnswered(first);
  EXPECT_EQ(UniquesOf(record_->Unanswered()), std::vector{second});
  record_->OnAnswered(second);
  record_->OnAnswered(second);
  EXPECT_TRUE(record_->Unanswered().empty());
}

TEST_F(RequestRecordTest, AnotherProcessFindsIt) {
  const auto unique = kernel_.SendRead(7, 0, 16);
  Read();
  record_->SetGreeted();
  const auto successor = *RequestRecord::Adopt(*record_->Share());
  EXPECT_EQ(UniquesOf(successor->Unanswered()), std::vector{unique});
  EXPECT_TRUE(successor->greeted());
  successor->OnAnswered(unique);
  EXPECT_TRUE(record_->Unanswered().empty());
}

TEST_F(RequestRecordTest, FindsWhatAKillLeftInALanding) {
  const auto unique = kernel_.SendRead(7, 0, 16);
  const ssize_t got = ::read(device_.get(), buffer_.data(), buffer_.size());
  const Fd file = *record_->Share();
  ASSERT_EQ(::pwrite(file.get(), buffer_.data(), static_cast<std::size_t>(got), kFirstLanding),
            got);
  EXPECT_EQ(UniquesOf(record_->Unanswered()), std::vector{unique});
  EXPECT_EQ(UniquesOf(record_->Unanswered()), std::vector{unique}) << "it is in a slot now";
  record_->OnAnswered(unique);
  EXPECT_TRUE(record_->Unanswered().empty());
}

TEST_F(RequestRecordTest, ForgetsWhatHasNoAnswer) {
  const std::uint64_t lookups = 1;
  kernel_.Send(2, 7, &lookups, sizeof lookups);  // FUSE_FORGET
  kernel_.SendInterrupt(4);
  Read();
  Read();
  EXPECT_TRUE(record_->Unanswered().empty());
}

TEST_F(RequestRecordTest, KeepsAnOldRequestWhileNumbersGoRound) {
  const auto old = kernel_.SendRead(7, 0, 16);
  Read();
  for (int i = 0; i < 5000; ++i) {
    const auto unique = kernel_.SendRead(7, 0, 16);
    Read();
    record_->OnAnswered(unique);
  }
  EXPECT_EQ(UniquesOf(record_->Unanswered()), std::vector{old});
}

TEST_F(RequestRecordTest, ManyThreadsLeaveNothingBehind) {
  constexpr int kThreads = 8;
  constexpr int kReads = 500;
  std::vector<std::jthread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      std::vector<std::byte> buffer(kMaxFuseMessageBytes);
      for (int read = 0; read < kReads; ++read) {
        if (record_->Read(device_.get(), buffer.data(), buffer.size()) <= 0) return;
        FuseInHeader header;
        std::memcpy(&header, buffer.data(), sizeof header);
        record_->OnAnswered(header.unique);
      }
    });
  }
  for (int i = 0; i < kThreads * kReads; ++i) kernel_.SendRead(7, 0, 16);
  threads.clear();
  EXPECT_TRUE(record_->Unanswered().empty());
}

TEST_F(RequestRecordTest, RefusesWhatIsNone) {
  EXPECT_EQ(RequestRecord::Adopt(*(*NodeLog::Create())->Share()).error().code, Errc::kCorrupt);
  const Fd file = *record_->Share();
  ASSERT_EQ(::pwrite(file.get(), "X", 1, 0), 1);
  EXPECT_EQ(RequestRecord::Adopt(*record_->Share()).error().code, Errc::kCorrupt);
}

TEST(KernelResends, AsItsInitSays) {
  std::vector<std::byte> init = FakeKernel::InitMessage();
  EXPECT_FALSE(KernelResends(init));
  const std::uint32_t flags = 1u << 30;
  const std::uint32_t flags2 = 1u << 7;
  std::memcpy(init.data() + sizeof(FuseInHeader) + 16, &flags2, 4);
  EXPECT_FALSE(KernelResends(init)) << "flags2 means nothing without FUSE_INIT_EXT";
  std::memcpy(init.data() + sizeof(FuseInHeader) + 12, &flags, 4);
  EXPECT_TRUE(KernelResends(init));
  init.resize(sizeof(FuseInHeader) + 16);
  EXPECT_FALSE(KernelResends(init)) << "an old kernel's is shorter";
}

/// A session that leaves, and one that goes on.
class HandoverTest : public ::testing::Test {
 protected:
  HandoverTest() : device_(kernel_.TakeDevice()) {
    origin_->Set("", {{FileEntry("file", 3'000'000, "\"1\"")}});
    tree_ = Tree::Create(
        {.sources = {{"src", origin_}}, .cache = cache_, .listing_ttl = std::chrono::hours(1)});
  }
  std::unique_ptr<Session> Begin(std::vector<std::byte> saved_init) {
    auto session = Session::Start(Fd(::dup(device_.get())), tree_,
                                  {.saved_init = std::move(saved_init),
                                   .record = *RequestRecord::Adopt(*record_->Share()),
                                   .resend = false});
    EXPECT_TRUE(session) << session.error().what;
    return *std::move(session);
  }

  FakeKernel kernel_;
  const Fd device_;
  const std::shared_ptr<test::HeldOrigin> origin_ = std::make_shared<test::HeldOrigin>();
  const std::shared_ptr<test::HeldCache> cache_ = std::make_shared<test::HeldCache>();
  const std::shared_ptr<RequestRecord> record_ = *RequestRecord::Create();
  std::shared_ptr<Tree> tree_;
};

TEST_F(HandoverTest, ASuccessorAnswersWhatWaited) {
  kernel_.SendRaw(FakeKernel::InitMessage());
  auto first = Begin({});
  ASSERT_EQ(kernel_.Receive()->unique, 2u);
  kernel_.SendLookup(1, "src");
  const auto source = test::As<fuse_entry_out>(kernel_.Receive()->body).nodeid;
  kernel_.SendLookup(source, "file");
  const auto file = test::As<fuse_entry_out>(kernel_.Receive()->body).nodeid;
  const auto unique = kernel_.SendRead(file, 0, 16);
  auto read = cache_->NextRead();
  ASSERT_TRUE(read);
  first->Leave();
  read->Succeed(std::byte{1});
  EXPECT_FALSE(kernel_.Receive(50)) << "who has left says nothing";

  auto second = Begin(FakeKernel::InitMessage());
  auto again = cache_->NextRead();
  ASSERT_TRUE(again);
  again->Succeed(std::byte{2});
  const auto answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->unique, unique);
  EXPECT_EQ(answer->body, std::vector<std::byte>(16, std::byte{2}));
  second->Stop();
  EXPECT_TRUE(record_->Unanswered().empty());
}

TEST_F(HandoverTest, ASuccessorGreetsAKernelThatNobodyGreeted) {
  auto session = Begin(FakeKernel::InitMessage());
  const auto answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->unique, 2u);
  session->Stop();
}

}  // namespace
}  // namespace modelfs::fs
