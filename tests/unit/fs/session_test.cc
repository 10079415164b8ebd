#include "fs/session/session.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <thread>

#include "tests/unit/fs/fake_kernel.h"
#include "tests/unit/fs/held_cache.h"
#include "tests/unit/fs/held_origin.h"

namespace modelfs::fs {
namespace {

using test::As;
using test::FakeKernel;
using test::FileEntry;

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    origin_->Set("", {{FileEntry("empty", 0, "\"0\""), FileEntry("file", 3'000'000, "\"1\"")}});
    tree_ = Tree::Create({.sources = {{"src", origin_}, {"slow", slow_}},
                          .cache = cache_,
                          .listing_ttl = std::chrono::hours(1),
                          .uid = 7,
                          .gid = 8,
                          .umask = 0007});
  }
  void TearDown() override {
    if (session_) session_->Stop();
    while (slow_->Answer(fetch::Listing{})) {
    }
  }
  void Begin(Session::Options options = {}) {
    kernel_.SendRaw(FakeKernel::InitMessage());
    options.on_init = [this](std::span<const std::byte> message) {
      saved_init_.assign(message.begin(), message.end());
    };
    auto session = Session::Start(kernel_.TakeDevice(), tree_, std::move(options));
    ASSERT_TRUE(session) << session.error().what;
    session_ = std::move(*session);
    auto answer = kernel_.Receive();
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->unique, 2u);
    ASSERT_EQ(answer->error, 0);
  }
  FakeKernel::Answer Lookup(std::uint64_t parent, std::string_view name) {
    const auto unique = kernel_.SendLookup(parent, name);
    auto answer = kernel_.Receive();
    EXPECT_TRUE(answer && answer->unique == unique);
    return answer.value_or(FakeKernel::Answer{});
  }
  std::uint64_t IdOf(std::uint64_t parent, std::string_view name) {
    return As<fuse_entry_out>(Lookup(parent, name).body).nodeid;
  }
  FakeKernel::Answer Open(std::uint64_t id, std::uint32_t flags) {
    fuse_open_in in{};
    in.flags = flags;
    kernel_.Send(FUSE_OPEN, id, &in, sizeof in);
    return kernel_.Receive().value_or(FakeKernel::Answer{});
  }

  FakeKernel kernel_;
  std::shared_ptr<test::HeldOrigin> origin_ = std::make_shared<test::HeldOrigin>();
  std::shared_ptr<test::HeldOrigin> slow_ = std::make_shared<test::HeldOrigin>();
  std::shared_ptr<test::HeldCache> cache_ = std::make_shared<test::HeldCache>();
  std::shared_ptr<Tree> tree_;
  std::vector<std::byte> saved_init_;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, SavesTheFirstMessageForASuccessor) {
  Begin();
  EXPECT_EQ(saved_init_, FakeKernel::InitMessage());
}

TEST_F(SessionTest, ShowsReadOnlyAttributes) {
  Begin();
  const auto source = IdOf(1, "src");
  const auto entry = As<fuse_entry_out>(Lookup(source, "file").body);
  EXPECT_EQ(entry.attr.mode, static_cast<unsigned>(S_IFREG | 0440));
  EXPECT_EQ(entry.attr.size, 3'000'000u);
  EXPECT_EQ(entry.attr.blocks, (3'000'000u + 511) / 512) << "never sparse to the eye";
  EXPECT_EQ(entry.attr.uid, 7u);
  EXPECT_EQ(entry.attr.gid, 8u);
  EXPECT_GT(entry.attr_valid, 3600u);
  EXPECT_GT(entry.entry_valid, 3000u);
}

TEST_F(SessionTest, RemembersThatANameIsNotThere) {
  Begin();
  const auto answer = Lookup(IdOf(1, "src"), "none");
  EXPECT_EQ(answer.error, 0);
  const auto entry = As<fuse_entry_out>(answer.body);
  EXPECT_EQ(entry.nodeid, 0u);
  EXPECT_GT(entry.entry_valid, 3000u);
}

TEST_F(SessionTest, RefusesToOpenForWriting) {
  Begin();
  const auto file = IdOf(IdOf(1, "src"), "file");
  EXPECT_EQ(Open(file, O_WRONLY).error, -EROFS);
  EXPECT_EQ(Open(file, O_RDWR).error, -EROFS);
  EXPECT_EQ(Open(file, O_RDONLY).error, 0);
}

TEST_F(SessionTest, OpeningWantsTheHeadAndKeepsThePages) {
  Begin();
  const auto source = IdOf(1, "src");
  const auto out = As<fuse_open_out>(Open(IdOf(source, "file"), O_RDONLY).body);
  EXPECT_NE(out.open_flags & FOPEN_KEEP_CACHE, 0u);
  EXPECT_EQ(cache_->wanted().size(), 1u);
  Open(IdOf(source, "empty"), O_RDONLY);
  EXPECT_EQ(cache_->wanted().size(), 1u) << "an empty file has no head";
}

TEST_F(SessionTest, AReadIsAnsweredByItsCompletion) {
  Begin();
  const auto file = IdOf(IdOf(1, "src"), "file");
  Open(file, O_RDONLY);
  const auto unique = kernel_.SendRead(file, 2'999'000, 4096);
  auto read = cache_->NextRead();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->offset, 2'999'000u);
  EXPECT_EQ(read->destination.size(), 1000u) << "clamped to the end of the file";
  read->Succeed(std::byte{0x5a});
  auto answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->unique, unique);
  EXPECT_EQ(answer->body, std::vector<std::byte>(1000, std::byte{0x5a}));
}

TEST_F(SessionTest, ReadsOfAFileThatItNeverSawOpenedWork) {
  Begin();
  const auto file = IdOf(IdOf(1, "src"), "file");
  kernel_.SendRead(file, 0, 16);
  auto read = cache_->NextRead();
  ASSERT_TRUE(read);
  read->Succeed(std::byte{1});
  EXPECT_EQ(kernel_.Receive()->body.size(), 16u);
}

TEST_F(SessionTest, ErrorsOfAReadKeepTheirMeaning) {
  Begin();
  const auto file = IdOf(IdOf(1, "src"), "file");
  const std::pair<Errc, int> cases[] = {{Errc::kChanged, ESTALE},
                                        {Errc::kTransient, EIO},
                                        {Errc::kDenied, EACCES},
                                        {Errc::kCorrupt, EIO},
                                        {Errc::kTimeout, EIO}};
  for (const auto& [code, expected] : cases) {
    kernel_.SendRead(file, 0, 16);
    auto read = cache_->NextRead();
    ASSERT_TRUE(read);
    read->done(Fail(code, "scripted"));
    EXPECT_EQ(kernel_.Receive()->error, -expected);
  }
}

TEST_F(SessionTest, AnInterruptedRequestIsAnsweredOnceAndItsCompletionIgnored) {
  Begin();
  const auto file = IdOf(IdOf(1, "src"), "file");
  const auto unique = kernel_.SendRead(file, 0, 16);
  auto read = cache_->NextRead();
  ASSERT_TRUE(read);
  kernel_.SendInterrupt(unique);
  auto answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->unique, unique);
  EXPECT_EQ(answer->error, -EINTR);
  read->Succeed(std::byte{1});
  EXPECT_EQ(Lookup(1, "src").error, 0) << "the next message is another request's";
  EXPECT_EQ(session_->Parked(), 0u);
}

TEST_F(SessionTest, InterruptsRacingCompletionsGiveOneAnswerEach) {
  Begin();
  const auto file = IdOf(IdOf(1, "src"), "file");
  std::map<std::uint64_t, int> answers;
  for (int i = 0; i < 300; ++i) {
    const auto unique = kernel_.SendRead(file, 0, 16);
    auto read = cache_->NextRead();
    ASSERT_TRUE(read);
    std::jthread completer([&] { read->Succeed(std::byte{1}); });
    kernel_.SendInterrupt(unique);
    completer.join();
    // An interrupt that came too late is answered EAGAIN under its own, odd number, some time
    // later.
    while (!answers.contains(unique)) {
      auto answer = kernel_.Receive();
      ASSERT_TRUE(answer);
      ++answers[answer->unique];
    }
  }
  session_->Stop();
  while (auto answer = kernel_.Receive(0)) ++answers[answer->unique];
  for (const auto& [unique, count] : answers) EXPECT_EQ(count, 1) << unique;
  EXPECT_EQ(session_->Parked(), 0u);
}

TEST_F(SessionTest, APassedDeadlineIsEio) {
  Begin({.read_timeout = std::chrono::milliseconds(50)});
  const auto file = IdOf(IdOf(1, "src"), "file");
  const auto unique = kernel_.SendRead(file, 0, 16);
  auto read = cache_->NextRead();
  ASSERT_TRUE(read);
  auto answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->unique, unique);
  EXPECT_EQ(answer->error, -EIO);
  read->Succeed(std::byte{1});  // Late, but the bytes may be kept.
}

TEST_F(SessionTest, AFileThatIsLateKeepsNobodyForAnotherDeadline) {
  constexpr auto kTimeout = std::chrono::milliseconds(2'000);
  Begin({.read_timeout = kTimeout});
  const auto file = IdOf(IdOf(1, "src"), "file");
  kernel_.SendRead(file, 0, 16);
  auto first = cache_->NextRead();
  ASSERT_TRUE(first);
  auto answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error, -EIO);
  // As the kernel does when its read-ahead brought nothing.
  const auto asked = std::chrono::steady_clock::now();
  kernel_.SendRead(file, 0, 16);
  auto second = cache_->NextRead();
  ASSERT_TRUE(second);
  answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error, -EIO);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, kTimeout / 2);
  // What has come meanwhile is given.
  const auto unique = kernel_.SendRead(file, 0, 16);
  auto third = cache_->NextRead();
  ASSERT_TRUE(third);
  third->Succeed(std::byte{1});
  answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->unique, unique);
  EXPECT_EQ(answer->error, 0);
  first->Succeed(std::byte{1});
  second->Succeed(std::byte{1});
}

TEST_F(SessionTest, StoppingAnswersWhatIsParked) {
  Begin();
  const auto unique = kernel_.SendLookup(IdOf(1, "slow"), "x");
  const auto file = IdOf(IdOf(1, "src"), "file");
  kernel_.SendRead(file, 0, 16);
  auto read = cache_->NextRead();
  ASSERT_TRUE(read);
  EXPECT_EQ(session_->Parked(), 2u);
  session_->Stop();
  auto one = kernel_.Receive();
  auto two = kernel_.Receive();
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->error, -EIO);
  EXPECT_EQ(two->error, -EIO);
  EXPECT_TRUE(one->unique == unique || two->unique == unique);
  read->Succeed(std::byte{1});
  slow_->Answer(fetch::Listing{});
}

TEST_F(SessionTest, ASuccessorReplaysTheInitWithoutASecondAnswer) {
  Session::Options options;
  options.saved_init = FakeKernel::InitMessage();
  auto session = Session::Start(kernel_.TakeDevice(), tree_, std::move(options));
  ASSERT_TRUE(session) << session.error().what;
  session_ = std::move(*session);
  auto resend = kernel_.Receive();
  ASSERT_TRUE(resend);
  EXPECT_EQ(resend->unique, 0u);
  EXPECT_EQ(resend->error, 7) << "FUSE_NOTIFY_RESEND";
  EXPECT_EQ(Lookup(1, "src").error, 0) << "and nothing in between";
}

TEST_F(SessionTest, ASuccessorAnswersAnInitThatNeverWas) {
  kernel_.SendRaw(FakeKernel::InitMessage());
  Session::Options options;
  options.saved_init = FakeKernel::InitMessage();
  auto session = Session::Start(kernel_.TakeDevice(), tree_, std::move(options));
  ASSERT_TRUE(session) << session.error().what;
  session_ = std::move(*session);
  EXPECT_EQ(kernel_.Receive()->error, 7);
  auto answer = kernel_.Receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->unique, 2u);
  EXPECT_EQ(Lookup(1, "src").error, 0);
}

TEST_F(SessionTest, GivesTheAttributesAboutTheCache) {
  Begin();
  const auto file = IdOf(IdOf(1, "src"), "file");
  auto get = [&](const std::string& name, std::uint32_t size) {
    std::vector<char> argument(sizeof(fuse_getxattr_in) + name.size() + 1);
    fuse_getxattr_in in{};
    in.size = size;
    std::memcpy(argument.data(), &in, sizeof in);
    std::memcpy(argument.data() + sizeof in, name.c_str(), name.size() + 1);
    kernel_.Send(FUSE_GETXATTR, file, argument.data(), argument.size());
    return kernel_.Receive().value_or(FakeKernel::Answer{});
  };
  EXPECT_EQ(As<fuse_getxattr_out>(get("user.modelfs.etag", 0).body).size, 3u);
  const auto etag = get("user.modelfs.etag", 64).body;
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(etag.data()), etag.size()), "\"1\"");
  EXPECT_EQ(get("user.modelfs.etag", 1).error, -ERANGE);
  EXPECT_EQ(get("security.capability", 64).error, -ENODATA);
  EXPECT_EQ(get("user.modelfs.none", 64).error, -ENODATA);
}

}  // namespace
}  // namespace modelfs::fs
