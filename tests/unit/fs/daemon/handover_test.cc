// How supervisors come to the mounts of others: by exec, from a holder, from a worker.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "fs/daemon/adoption.h"
#include "fs/daemon/holder_link.h"
#include "fs/daemon/mount_holder.h"
#include "fs/daemon/supervisor_state.h"
#include "fs/tree/node_log.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

std::pair<dev_t, ino_t> FileOf(const Fd& fd) {
  struct stat info{};
  ::fstat(fd.get(), &info);
  return {info.st_dev, info.st_ino};
}

/// A mount as a supervisor keeps it; its device is a file of a test.
KeptMount MakeMount(const std::string& mountpoint, const test::TempDir& dir) {
  MountSpec spec;
  spec.mountpoint = mountpoint;
  spec.listing_ttl = std::chrono::seconds(7);
  auto nodes = *NodeLog::Create();
  nodes->Append("a node");
  const auto path = dir.path() / "device";
  return {.spec = std::move(spec),
          .minor = 42,
          .init = {std::byte{1}, std::byte{0xfe}},
          .device = Fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
          .nodes = *nodes->Share(),
          .requests = {}};
}

void ExpectSame(const KeptMount& mount, const KeptMount& wanted) {
  EXPECT_EQ(mount.spec.mountpoint, wanted.spec.mountpoint);
  EXPECT_EQ(mount.spec.listing_ttl, wanted.spec.listing_ttl);
  EXPECT_EQ(mount.minor, wanted.minor);
  EXPECT_EQ(mount.init, wanted.init);
  EXPECT_EQ(FileOf(mount.device), FileOf(wanted.device));
  std::string node;
  const auto nodes = NodeLog::Adopt(Duplicate(mount.nodes.get()));
  ASSERT_TRUE(nodes) << nodes.error().what;
  ASSERT_TRUE((*nodes)->Replay([&](std::string_view record) {
    node = record;
    return Result<void>();
  }));
  EXPECT_EQ(node, "a node");
}

/// A process of its own, ended with this object.
class Child {
 public:
  explicit Child(const std::function<int()>& body) : pid_(::fork()) {
    if (pid_ == 0) ::_exit(body());
  }
  ~Child() {
    if (pid_ > 0) Kill(SIGKILL);
  }
  int Kill(int signal) {
    ::kill(pid_, signal);
    return Wait();
  }
  int Wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return status;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

class HandoverFilesTest : public ::testing::Test {
 protected:
  DaemonSpec Daemon() const {
    DaemonSpec daemon;
    daemon.cache_directory = dir_.path();
    daemon.control_socket = dir_.path() / "s.sock";
    return daemon;
  }
  Result<HolderLink::Met> Meet() const { return HolderLink::Connect(socket_, dir_.path()); }

  const test::TempDir dir_;
  const std::string socket_ = dir_.path() / "hold.sock";
};

TEST_F(HandoverFilesTest, AStateSurvivesAnExec) {
  Child child([&] {  // Of its own, because what is loaded owns the same descriptors.
    const KeptMount wanted = MakeMount("/m", dir_);
    auto pair = BrokerChannel::MakePair();
    SupervisorState state{
        .daemon = Daemon(),
        .lock = **OwnerLock::TryAcquire(dir_.path()),
        .worker = WorkerProcess{.pid = 77, .channel = std::move(pair->supervisor)},
        .mounts = {},
        .next_session = 9,
        .next_request = 10,
        .upgrade_request = 11};
    state.mounts.emplace(4, MakeMount("/m", dir_));
    auto saved = SaveState(state);
    if (!saved) return 2;
    for (const int fd : DescriptorsOf(state)) {
      if (::fcntl(fd, F_GETFD) != 0) return 3;
    }
    auto loaded = LoadState(*std::move(saved));
    if (!loaded) return 4;
    for (const int fd : DescriptorsOf(*loaded)) {
      if (::fcntl(fd, F_GETFD) != FD_CLOEXEC) return 5;
    }
    if (loaded->worker->pid != 77 || loaded->next_session != 9 || loaded->next_request != 10)
      return 6;
    if (loaded->upgrade_request != 11 || loaded->daemon.control_socket != Daemon().control_socket) {
      return 7;
    }
    ExpectSame(loaded->mounts.at(4), wanted);
    ::_exit(testing::Test::HasFailure() ? 8 : 0);
  });
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(HandoverFilesTest, AStateOfAnotherVersionIsRefused) {
  const auto path = dir_.path() / "state";
  for (const std::string text : {R"({"v": 99})", R"({"v": 1})", "no json", ""}) {
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    const auto loaded = LoadState(std::move(file));
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().code, Errc::kInvalid) << loaded.error().what;
  }
}

TEST_F(HandoverFilesTest, AHolderKeepsMountsForTheNextSupervisor) {
  auto listening = MountHolder::Listen({.socket = socket_});
  ASSERT_TRUE(listening) << listening.error().what;
  Child holder([&] { return listening->Run(); });
  const KeptMount mount = MakeMount("/m", dir_);
  {
    auto first = *Meet();
    EXPECT_TRUE(first.kept.empty());
    ASSERT_TRUE(first.link.Keep(3, mount));
    ASSERT_TRUE(first.link.Keep(4, MakeMount("/n", dir_)));
    ASSERT_TRUE(first.link.Forget(4));
  }
  auto second = Meet();
  ASSERT_TRUE(second) << second.error().what;
  ASSERT_EQ(second->kept.size(), 1u);
  ExpectSame(second->kept.at(3), mount);
  const auto other = HolderLink::Connect(socket_, "/another/cache");
  ASSERT_TRUE(other);
  EXPECT_TRUE(other->kept.empty()) << "each cache directory has its own";
  EXPECT_EQ(holder.Kill(SIGTERM), 0);
}

TEST_F(HandoverFilesTest, AHolderLetsGoOfWhatNobodyComesFor) {
  auto listening =
      MountHolder::Listen({.socket = socket_, .patience = std::chrono::milliseconds(1)});
  ASSERT_TRUE(listening) << listening.error().what;
  Child holder([&] { return listening->Run(); });
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  {
    auto met = *Meet();
    KeptMount mount = MakeMount("/m", dir_);
    mount.device = Fd(ends[1]);
    ASSERT_TRUE(met.link.Keep(1, mount));
  }
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0) << "its last copy is closed";
}

TEST_F(HandoverFilesTest, NobodyHolds) {
  const auto met = Meet();
  ASSERT_FALSE(met);
  EXPECT_EQ(met.error().code, Errc::kNotFound);
  EXPECT_NE(met.error().what.find(socket_), std::string::npos);
}

TEST_F(HandoverFilesTest, AWorkerGivesAllToWhoAdoptsIt) {
  const KeptMount mount = MakeMount("/m", dir_);
  auto lock = **OwnerLock::TryAcquire(dir_.path());
  auto listener = ListenForPackets(AdoptionPath(Daemon().control_socket));
  ASSERT_TRUE(listener) << listener.error().what;
  Child worker([&] {
    auto peer = AcceptPackets(*listener);
    if (!peer) return 2;
    const BrokerChannel channel(std::move(peer->socket));
    KeptMounts mounts;
    mounts.emplace(5, MakeMount("/m", dir_));
    if (!OfferState(channel, Daemon(), Duplicate(lock.fd()), mounts)) return 3;
    auto message = channel.Receive();
    return message && *message && std::holds_alternative<PingMessage>(**message) ? 0 : 4;
  });
  auto adopted = AdoptWorker(Daemon().control_socket);
  ASSERT_TRUE(adopted) << adopted.error().what;
  EXPECT_EQ(adopted->daemon.cache_directory, dir_.path());
  EXPECT_EQ(adopted->next_session, 6u);
  ASSERT_EQ(adopted->mounts.size(), 1u);
  ExpectSame(adopted->mounts.at(5), mount);
  EXPECT_TRUE(adopted->worker->channel.Send(PingMessage{1}));
  EXPECT_EQ(worker.Wait(), 0);
}

TEST_F(HandoverFilesTest, TwoDoNotListenAtOnePlace) {
  auto first = ListenForPackets(socket_);
  ASSERT_TRUE(first);
  struct stat info{};
  ASSERT_EQ(::stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  EXPECT_EQ(ListenForPackets(socket_).error().code, Errc::kInvalid);
  first->Reset();
  EXPECT_TRUE(ListenForPackets(socket_)) << "what a dead one left is replaced";
  const std::string too_long(200, 'x');
  EXPECT_EQ(ListenForPackets("/" + too_long).error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace modelfs::fs
