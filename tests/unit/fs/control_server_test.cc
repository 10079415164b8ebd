// The control socket: server and client against a fake daemon, and peers that misbehave.

#include "fs/control/control_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>

#include "fetch/base/handle.h"
#include "fs/control/control_client.h"
#include "fs/control/unix_listener.h"
#include "fs/control/wire.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/fake_daemon_api.h"

namespace modelfs::fs {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

sockaddr_un Address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

class ControlServerTest : public testing::Test {
 protected:
  ControlServerTest() : socket_((temp_.path() / "run/a.sock").string()) {}

  Result<std::unique_ptr<ControlServer>> Start(
      std::function<std::optional<uid_t>(int)> peer_uid = nullptr) {
    return ControlServer::Start({.socket_path = socket_, .api = &api_, .peer_uid = peer_uid});
  }
  void MustStart() {
    auto server = Start();
    ASSERT_TRUE(server) << server.error().what;
    server_ = *std::move(server);
  }
  /// Sends bytes as they are and returns the status line's number and the body; 0: hung up.
  std::pair<int, std::string> Raw(const std::string& request) {
    const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = Address(socket_);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      return {-1, std::strerror(errno)};
    }
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
    ::shutdown(fd.get(), SHUT_WR);
    std::string answer;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd.get(), buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<std::size_t>(n));
    }
    if (answer.size() < 12) return {0, answer};
    const std::size_t body = answer.find("\r\n\r\n");
    return {std::stoi(answer.substr(9, 3)),
            body == std::string::npos ? "" : answer.substr(body + 4)};
  }
  std::pair<int, std::string> Post(const std::string& path, const std::string& body) {
    return Raw("POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  std::pair<int, std::string> Get(const std::string& path) {
    return Raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }

  test::TempDir temp_;
  test::FakeDaemonApi api_{{"/m"}};
  std::string socket_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlServerTest, AnswersEveryCallOfTheClient) {
  MustStart();
  ControlClient client(socket_);
  const auto status = client.Status();
  ASSERT_TRUE(status) << status.error().what;
  EXPECT_EQ(*status, api_.Status());

  const MountSpec spec{.mountpoint = "/m2",
                       .sources = {{.name = "b", .uri = "s3://b", .s3 = {}, .ca_bundle = ""}},
                       .uid = 7,
                       .read_timeout = 3s};
  const auto added = client.AddMount(spec);
  ASSERT_TRUE(added) << added.error().what;
  ASSERT_EQ(api_.added().size(), 1u);
  EXPECT_EQ(ToJson(api_.added()[0]), ToJson(spec));

  const auto warm = client.StartJob(JobKind::kWarm, {"/m/a b", "/m/ü\"\\"});
  ASSERT_TRUE(warm) << warm.error().what;
  EXPECT_EQ(*warm, 1u);
  EXPECT_EQ(*client.StartJob(JobKind::kVerify, {}), 2u);
  EXPECT_EQ(api_.started(), (std::vector<std::string>{"warm /m/a b /m/ü\"\\", "verify"}));
  const auto job = client.Job(2);
  ASSERT_TRUE(job) << job.error().what;
  EXPECT_EQ((*job)["kind"], "verify");
}

TEST_F(ControlServerTest, ErrorsKeepTheirCodeAndText) {
  MustStart();
  ControlClient client(socket_);
  for (const Errc code :
       {Errc::kNotFound, Errc::kDenied, Errc::kInvalid, Errc::kTransient, Errc::kTimeout,
        Errc::kChanged, Errc::kCorrupt, Errc::kNoSpace, Errc::kIo, Errc::kCancelled}) {
    api_.FailNext({code, "what \"it\" was: \xff é"});
    const auto warm = client.StartJob(JobKind::kWarm, {"/m"});
    ASSERT_FALSE(warm);
    EXPECT_EQ(warm.error().code, code);
    EXPECT_TRUE(warm.error().what.starts_with("what \"it\" was: ")) << warm.error().what;
  }
  api_.FailNext({Errc::kDenied, "GET s3://b: 403"});
  EXPECT_EQ(client.AddMount({.mountpoint = "/x"}).error().what, "GET s3://b: 403");
  EXPECT_EQ(client.Job(99).error().code, Errc::kNotFound);
}

TEST_F(ControlServerTest, APathThatIsNoUtf8IsNotTurnedIntoAnother) {
  MustStart();
  ControlClient client(socket_);
  const auto warm = client.StartJob(JobKind::kWarm, {"/m/\xff"});
  ASSERT_FALSE(warm);
  EXPECT_EQ(warm.error().code, Errc::kInvalid);
  EXPECT_TRUE(api_.started().empty());
}

TEST_F(ControlServerTest, SaysOkToHealthz) {
  MustStart();
  EXPECT_EQ(Get("/healthz"), std::make_pair(200, std::string("ok\n")));
}

TEST_F(ControlServerTest, RefusesWhatMakesNoSense) {
  MustStart();
  EXPECT_EQ(Get("/api/v1/nothing").first, 404);
  EXPECT_EQ(Get("/").first, 404);
  EXPECT_EQ(Get("/api/v1/warm").first, 405);
  EXPECT_EQ(Post("/api/v1/status", "{}").first, 405);
  EXPECT_EQ(Get("/api/v1/jobs/x").first, 400);
  EXPECT_EQ(Get("/api/v1/jobs/").first, 400);
  EXPECT_EQ(Get("/api/v1/jobs/-1").first, 400);
  EXPECT_EQ(Get("/api/v1/jobs/99999999999999999999999").first, 400);
  EXPECT_EQ(Get("/api/v1/jobs/7").first, 404);
  for (const std::string body : {"", "{", "[]", "5", "{\"paths\":1}", "{\"paths\":[1]}",
                                 "{\"paths\":[\"relative\"]}", "{\"paths\":[\"\"]}"}) {
    EXPECT_EQ(Post("/api/v1/warm", body).first, 400) << body;
    EXPECT_EQ(Post("/api/v1/verify", body).first, 400) << body;
    EXPECT_EQ(Post("/api/v1/mounts", body).first, 400) << body;
  }
  EXPECT_EQ(Post("/api/v1/warm", "{\"paths\":[]}").first, 400);
  EXPECT_EQ(Post("/api/v1/mounts", "{}").first, 400);
  EXPECT_EQ(Post("/api/v1/warm", std::string(2000, '[')).first, 400);
  EXPECT_TRUE(api_.started().empty());
  EXPECT_TRUE(api_.added().empty());
  const auto [status, body] = Get("/api/v1/jobs/7");
  EXPECT_EQ(json::parse(body)["error"]["code"], "not_found");
}

TEST_F(ControlServerTest, RefusesAHugeBodyAndGoesOn) {
  MustStart();
  EXPECT_EQ(Post("/api/v1/warm", std::string(kMaxControlBody + 1, 'x')).first, 413);
  EXPECT_EQ(Get("/healthz").first, 200);
}

TEST_F(ControlServerTest, SurvivesGarbageAndPeersThatHangUp) {
  MustStart();
  Raw("");
  Raw("\x01\x02\x03\r\n\r\n");
  Raw("GET /api/v1/status HTTP/1.1\r\nHost");
  Raw("POST /api/v1/warm HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_EQ(Get("/healthz").first, 200);
  EXPECT_TRUE(api_.started().empty());
}

TEST_F(ControlServerTest, AnswersSeveralAtOnce) {
  MustStart();
  std::vector<std::jthread> threads;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      ControlClient client(socket_);
      for (int k = 0; k < 20; ++k) answered += client.Status().has_value() ? 1 : 0;
    });
  }
  threads.clear();
  EXPECT_EQ(answered, 160);
}

TEST_F(ControlServerTest, IsForItsUserAndRoot) {
  EXPECT_TRUE(MayControl(0, 1000));
  EXPECT_TRUE(MayControl(1000, 1000));
  EXPECT_FALSE(MayControl(1001, 1000));
  EXPECT_FALSE(MayControl(1000, 0));
  auto server = Start([](int) { return std::optional<uid_t>(::geteuid() + 1); });
  ASSERT_TRUE(server) << server.error().what;
  ControlClient client(socket_);
  EXPECT_EQ(client.Status().error().code, Errc::kDenied);
  EXPECT_EQ(client.StartJob(JobKind::kWarm, {"/m"}).error().code, Errc::kDenied);
  EXPECT_TRUE(api_.started().empty());
}

TEST_F(ControlServerTest, APeerThatCannotBeNamedIsRefused) {
  auto server = Start([](int) { return std::optional<uid_t>(); });
  ASSERT_TRUE(server) << server.error().what;
  EXPECT_EQ(Get("/healthz").first, 403);
}

TEST_F(ControlServerTest, TheSocketIsClosedToOthers) {
  std::filesystem::create_directories(temp_.path() / "run");
  ::chmod((temp_.path() / "run").c_str(), 0755);
  MustStart();
  struct stat folder{};
  struct stat file{};
  ASSERT_EQ(::stat((temp_.path() / "run").c_str(), &folder), 0);
  ASSERT_EQ(::stat(socket_.c_str(), &file), 0);
  EXPECT_EQ(folder.st_mode & 0777, 0700u);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
}

TEST_F(ControlServerTest, TakesItsFileAway) {
  MustStart();
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(socket_));
  EXPECT_EQ(ControlClient(socket_).Status().error().code, Errc::kNotFound);
}

TEST_F(ControlServerTest, ReplacesASocketThatNobodyAnswers) {
  std::filesystem::create_directories(temp_.path() / "run");
  const sockaddr_un address = Address(socket_);
  {
    const Fd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  EXPECT_EQ(ControlClient(socket_).Status().error().code, Errc::kNotFound);
  MustStart();
  EXPECT_TRUE(ControlClient(socket_).Status());
}

TEST_F(ControlServerTest, NeverReplacesASocketThatSomebodyAnswers) {
  MustStart();
  const auto second = Start();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kInvalid);
  EXPECT_NE(second.error().what.find(socket_), std::string::npos);
  EXPECT_TRUE(ControlClient(socket_).Status());
}

TEST_F(ControlServerTest, NeverReplacesAFileOfAnotherKind) {
  temp_.Write("run/a.sock", "precious");
  EXPECT_FALSE(Start());
  EXPECT_EQ(std::filesystem::file_size(socket_), 8u);
}

TEST_F(ControlServerTest, LeavesASuccessorsSocketAlone) {
  auto listener = UnixListener::Bind(socket_);
  ASSERT_TRUE(listener) << listener.error().what;
  {
    const UnixListener first = *std::move(listener);
    std::filesystem::remove(socket_);
    temp_.Write("run/a.sock", "a successor's");
  }
  EXPECT_TRUE(std::filesystem::exists(socket_));
}

TEST_F(ControlServerTest, AFolderThatIsALinkIsNotTrusted) {
  std::filesystem::create_directories(temp_.path() / "elsewhere");
  std::filesystem::create_directory_symlink(temp_.path() / "elsewhere", temp_.path() / "run");
  EXPECT_FALSE(Start());
}

TEST_F(ControlServerTest, AnAnswerThatIsNotOursIsQuoted) {
  EXPECT_EQ(ParseErrorBody(500, "<html>oops").code, Errc::kIo);
  EXPECT_NE(ParseErrorBody(500, "<html>oops").what.find("<html>oops"), std::string::npos);
  EXPECT_EQ(ParseErrorBody(400, R"({"error":{"code":"unheard_of"}})").code, Errc::kIo);
  EXPECT_EQ(ParseErrorBody(400, R"({"error":5})").code, Errc::kIo);
}

TEST(ControlClientTest, ASilentDaemonIsATimeout) {
  const test::TempDir temp;
  const std::string path = (temp.path() / "run/s.sock").string();
  auto silent = UnixListener::Bind(path);
  ASSERT_TRUE(silent) << silent.error().what;
  ControlClient client(path, {.timeout = 50ms, .mount_timeout = 50ms});
  EXPECT_EQ(client.Status().error().code, Errc::kTimeout);
  EXPECT_EQ(client.AddMount({.mountpoint = "/m"}).error().code, Errc::kTimeout);
}

}  // namespace
}  // namespace modelfs::fs
