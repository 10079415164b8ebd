#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "fs/daemon/broker_client.h"
#include "fs/daemon/broker_protocol.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using ::testing::HasSubstr;

MountSpec SomeMount() {
  MountSpec spec;
  spec.mountpoint = "/mnt/m";
  spec.sources = {SourceSpec{.name = "d", .uri = "dir:/d", .s3 = {}, .ca_bundle = ""}};
  return spec;
}

Fd AnyFile() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

std::size_t OpenDescriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

class BrokerChannelTest : public testing::Test {
 protected:
  BrokerChannelTest() : pair_(*BrokerChannel::MakePair()) {}

  template <class Message>
  Message Pass(Message message) {
    const auto sent = pair_.supervisor.Send(BrokerMessage(std::move(message)));
    EXPECT_TRUE(sent) << sent.error().what;
    auto received = pair_.worker.Receive();
    EXPECT_TRUE(received) << received.error().what;
    return std::get<Message>(*std::move(*received));
  }
  void SendRaw(std::string_view text) {
    ASSERT_EQ(::send(pair_.supervisor.fd(), text.data(), text.size(), 0),
              static_cast<ssize_t>(text.size()));
  }

  BrokerChannel::Pair pair_;
};

TEST_F(BrokerChannelTest, PassesEveryMessageUnchanged) {
  const auto mount = SomeMount();
  EXPECT_EQ(ToJson(Pass(AddMountMessage{.request = 3, .mount = mount, .again = true}).mount),
            ToJson(mount));
  EXPECT_TRUE(Pass(AddMountMessage{.request = 3, .mount = mount, .again = true}).again);
  EXPECT_EQ(Pass(MountRequestMessage{.request = ~0ull, .mount = mount}).request, ~0ull);
  std::vector<std::byte> init;
  for (int i = 0; i < 256; ++i) init.push_back(static_cast<std::byte>(i));
  EXPECT_EQ(Pass(SaveInitMessage{.session = 9, .init = init}).init, init);
  const auto ready = Pass(ReadyMessage{.request = 1, .session = 2});
  EXPECT_EQ(ready.request, 1u);
  EXPECT_EQ(ready.session, 2u);
  for (const Errc code :
       {Errc::kNotFound, Errc::kDenied, Errc::kInvalid, Errc::kTransient, Errc::kTimeout,
        Errc::kChanged, Errc::kCorrupt, Errc::kNoSpace, Errc::kIo, Errc::kCancelled}) {
    const auto failed = Pass(FailedMessage{.request = 4, .error = {code, "why \"x\"\n\xff"}});
    EXPECT_EQ(failed.error.code, code);
    EXPECT_THAT(failed.error.what, HasSubstr("why \"x\""));
  }
  EXPECT_EQ(Pass(UnmountRequestMessage{5}).session, 5u);
  EXPECT_EQ(Pass(SessionGoneMessage{6}).session, 6u);
  EXPECT_EQ(Pass(PingMessage{7}).number, 7u);
  EXPECT_EQ(Pass(PongMessage{8}).number, 8u);
  Pass(ShutdownMessage{});
  Pass(ByeMessage{});
}

TEST_F(BrokerChannelTest, PassesDescriptors) {
  const test::TempDir dir;
  const auto path = dir.Write("f", "hello");
  DaemonSpec daemon;
  daemon.cache_directory = "/c";
  daemon.control_socket = "/s";
  const auto start =
      Pass(StartMessage{.daemon = daemon, .lock = Fd(::open(path.c_str(), O_RDONLY))});
  char text[5];
  ASSERT_EQ(::pread(start.lock.get(), text, sizeof text, 0), 5);
  EXPECT_EQ(std::string_view(text, 5), "hello");
  EXPECT_NE(::fcntl(start.lock.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_TRUE(Pass(MountedMessage{.request = 1, .session = 2, .device = AnyFile()}).device);
  const auto nodes = Pass(NodesMessage{.session = 3, .log = AnyFile()});
  EXPECT_TRUE(nodes.log);
  EXPECT_EQ(nodes.session, 3u);
  const auto spec = Pass(SpecMessage{.session = 6, .mount = SomeMount()});
  EXPECT_EQ(spec.session, 6u);
  EXPECT_EQ(ToJson(spec.mount), ToJson(SomeMount()));
  const auto resume = Pass(ResumeMountMessage{.request = 4,
                                              .session = 5,
                                              .mount = SomeMount(),
                                              .init = {std::byte{1}, std::byte{255}},
                                              .device = AnyFile()});
  EXPECT_EQ(resume.request, 4u);
  EXPECT_EQ(resume.session, 5u);
  EXPECT_EQ(ToJson(resume.mount), ToJson(SomeMount()));
  EXPECT_EQ(resume.init, (std::vector{std::byte{1}, std::byte{255}}));
  EXPECT_TRUE(resume.device);
}

TEST_F(BrokerChannelTest, DropsWhatMakesNoSenseAndGoesOn) {
  const char* const texts[] = {
      "x",
      "[]",
      "{}",
      R"({"v": 1})",
      R"({"v": 2, "type": "bye"})",
      R"({"v": "1", "type": "bye"})",
      R"({"v": 1, "type": 7})",
      R"({"v": 1, "type": "dance"})",
      R"({"v": 1, "type": "ready", "request": 1})",
      R"({"v": 1, "type": "ready", "request": -1, "session": 2})",
      R"({"v": 1, "type": "save_init", "session": 1, "init": "abc"})",
      R"({"v": 1, "type": "save_init", "session": 1, "init": "zz"})",
      R"({"v": 1, "type": "mounted", "request": 1, "session": 2})",
      R"({"v": 1, "type": "nodes", "session": 2})",
      R"({"v": 1, "type": "ping"})",
      R"({"v": 1, "type": "add_mount", "request": 1, "again": false, "mount": {"sources": []}})",
  };
  for (const char* text : texts) {
    SendRaw(text);
    const auto message = pair_.worker.Receive();
    ASSERT_FALSE(message) << text;
    EXPECT_EQ(message.error().code, Errc::kInvalid) << text;
  }
  EXPECT_EQ(Pass(SessionGoneMessage{6}).session, 6u);
}

TEST_F(BrokerChannelTest, DropsWhatIsTooLarge) {
  SendRaw(std::string(kMaxBrokerMessageBytes + 10, ' '));
  EXPECT_EQ(pair_.worker.Receive().error().code, Errc::kInvalid);
  FailedMessage huge{.request = 1, .error = {Errc::kIo, std::string(kMaxBrokerMessageBytes, 'x')}};
  EXPECT_EQ(pair_.supervisor.Send(std::move(huge)).error().code, Errc::kInvalid);
  EXPECT_EQ(Pass(SessionGoneMessage{6}).session, 6u);
}

TEST_F(BrokerChannelTest, ClosesDescriptorsThatNobodyExpects) {
  const std::size_t before = OpenDescriptors();
  const std::string text = EncodeBrokerMessage(ByeMessage{});
  iovec data{const_cast<char*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  const int fds[3] = {0, 1, 2};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof fds);
  std::memcpy(CMSG_DATA(rights), fds, sizeof fds);
  ASSERT_GT(::sendmsg(pair_.supervisor.fd(), &header, 0), 0);
  ASSERT_TRUE(pair_.worker.Receive());
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(BrokerChannelTest, TellsWhenTheOtherEndIsGone) {
  {
    const BrokerChannel gone = std::move(pair_.supervisor);
  }
  const auto message = pair_.worker.Receive();
  ASSERT_TRUE(message);
  EXPECT_FALSE(*message);
  EXPECT_EQ(pair_.worker.Send(ByeMessage{}).error().code, Errc::kIo);
}

TEST_F(BrokerChannelTest, DeliversLastWordsOfAnEndThatDidNotReadAll) {
  ASSERT_TRUE(pair_.worker.Send(ShutdownMessage{}));
  ASSERT_TRUE(pair_.supervisor.Send(SessionGoneMessage{6}));
  ASSERT_TRUE(pair_.supervisor.Send(ByeMessage{}));
  {
    const BrokerChannel gone = std::move(pair_.supervisor);
  }
  EXPECT_TRUE(std::holds_alternative<SessionGoneMessage>(**pair_.worker.Receive()));
  EXPECT_TRUE(std::holds_alternative<ByeMessage>(**pair_.worker.Receive()));
  const auto end = pair_.worker.Receive();
  ASSERT_TRUE(end) << end.error().what;
  EXPECT_FALSE(*end);
}

TEST(BrokerProtocolTest, SurvivesAnyBytes) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  const std::string good =
      EncodeBrokerMessage(MountRequestMessage{.request = 1, .mount = SomeMount()});
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (unsigned n = random() % 6 + 1; n > 0; --n) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    const auto decoded = DecodeBrokerMessage(text, AnyFile());
    EXPECT_TRUE(decoded || !decoded.error().what.empty());
  }
}

/// A client whose answers are read by a thread, and the supervisor's end of its channel.
class BrokerClientTest : public testing::Test {
 protected:
  BrokerClientTest() : pair_(*BrokerChannel::MakePair()), client_(std::move(pair_.worker)) {
    reader_ = std::jthread([this] {
      while (client_.connected()) static_cast<void>(client_.Next());
    });
  }
  ~BrokerClientTest() override { ::shutdown(pair_.supervisor.fd(), SHUT_RDWR); }

  MountRequestMessage NextRequest() {
    auto message = pair_.supervisor.Receive();
    return std::get<MountRequestMessage>(*std::move(*message));
  }

  BrokerChannel::Pair pair_;
  BrokerClient client_;
  std::jthread reader_;
};

constexpr std::chrono::seconds kLong{20};

TEST_F(BrokerClientTest, GetsItsOwnAnswerWhenTwoAsk) {
  std::jthread other([this] {
    const auto first = NextRequest();
    const auto second = NextRequest();
    ASSERT_TRUE(pair_.supervisor.Send(
        MountedMessage{.request = second.request, .session = 22, .device = AnyFile()}));
    ASSERT_TRUE(pair_.supervisor.Send(
        FailedMessage{.request = first.request, .error = {Errc::kDenied, "no"}}));
  });
  Result<MountedMessage> results[2] = {Fail(Errc::kIo, ""), Fail(Errc::kIo, "")};
  {
    std::jthread ask([&] { results[0] = client_.RequestMount(SomeMount(), kLong); });
    results[1] = client_.RequestMount(SomeMount(), kLong);
  }
  const auto& good = results[0] ? results[0] : results[1];
  const auto& bad = results[0] ? results[1] : results[0];
  ASSERT_TRUE(good);
  EXPECT_EQ(good->session, 22u);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Errc::kDenied);
}

TEST_F(BrokerClientTest, GivesUpWhenTheSupervisorDies) {
  std::jthread other([this] {
    NextRequest();
    ::shutdown(pair_.supervisor.fd(), SHUT_RDWR);
  });
  const auto result = client_.RequestMount(SomeMount(), kLong);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().what, HasSubstr("supervisor"));
  EXPECT_FALSE(client_.connected());
}

TEST_F(BrokerClientTest, GivesUpWhenClosed) {
  std::jthread other([this] {
    NextRequest();
    client_.Close();
  });
  EXPECT_EQ(client_.RequestMount(SomeMount(), kLong).error().code, Errc::kCancelled);
  EXPECT_EQ(client_.RequestMount(SomeMount(), kLong).error().code, Errc::kCancelled);
}

TEST_F(BrokerClientTest, HandsBackAMountThatNobodyWaitsForAnyMore) {
  EXPECT_EQ(client_.RequestMount(SomeMount(), std::chrono::milliseconds(1)).error().code,
            Errc::kTimeout);
  const auto late = NextRequest();
  ASSERT_TRUE(pair_.supervisor.Send(
      MountedMessage{.request = late.request, .session = 5, .device = AnyFile()}));
  const auto message = pair_.supervisor.Receive();
  ASSERT_TRUE(message && *message);
  EXPECT_EQ(std::get<UnmountRequestMessage>(**message).session, 5u);
}

}  // namespace
}  // namespace modelfs::fs
