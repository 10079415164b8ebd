#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "fs/daemon/supervisor.h"
#include "fs/tree/node_log.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/scripted_worker.h"

namespace modelfs::fs {
namespace {

using ::testing::ElementsAre;
using namespace test;  // NOLINT(google-build-using-namespace): the scripts' vocabulary.

WorkerProcess StartScript(const Script& script) {
  auto pair = BrokerChannel::MakePair();
  const pid_t child = ::fork();
  if (child == 0) {
    {
      const BrokerChannel other = std::move(pair->supervisor);
    }
    script(pair->worker);
    ::_exit(0);
  }
  return {.pid = child, .channel = std::move(pair->supervisor)};
}

/// A supervisor that has just become another program, with one mount and a worker of the old one.
class SupervisorUpgradeTest : public testing::Test {
 protected:
  SupervisorUpgradeTest() { ::sigprocmask(SIG_SETMASK, nullptr, &mask_); }
  ~SupervisorUpgradeTest() override {
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(signal, SIG_IGN);
    ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(signal, SIG_DFL);
  }

  int GoOn(const Script& old_worker, std::vector<Script> scripts,
           std::uint64_t upgrade_request = 7) {
    KeptMount mount{.spec = {},
                    .minor = 1,
                    .init = {std::byte{1}},
                    .device = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
                    .nodes = *(*NodeLog::Create())->Share(),
                    .requests = {}};
    mount.spec.mountpoint = "/m";
    KeptMounts kept;
    kept.emplace(3, std::move(mount));
    auto spawn = [this, scripts = std::move(scripts)]() -> Result<WorkerProcess> {
      return StartScript(scripts[std::min<std::size_t>(workers_++, scripts.size() - 1)]);
    };
    DaemonSpec daemon;
    daemon.cache_directory = dir_.path();
    Supervisor supervisor(
        {.daemon = std::move(daemon),
         .lock = **OwnerLock::TryAcquire(dir_.path()),
         .kept = std::move(kept),
         .worker = StartScript(old_worker),
         .next_session = 4,
         .next_request = 20,
         .upgrade_request = upgrade_request,
         .mounter = std::make_unique<FakeMounter>(record_),
         .spawn = spawn,
         .restart_delay = std::chrono::milliseconds(1),
         .retire = retire_,
         .check_program = [](int) -> Result<void> { return Fail(Errc::kInvalid, "too old"); }});
    return supervisor.Run();
  }

  const test::TempDir dir_;
  FakeMounter::Record record_;
  std::size_t workers_ = 0;
  std::chrono::milliseconds retire_{20'000};

 private:
  sigset_t mask_;
};

void Retire(const BrokerChannel& channel) {
  Expect<RetireMessage>(channel);
  Tell(channel, ByeMessage{});
}

void GoOnAndEnd(const BrokerChannel& channel) {
  const auto resume = TakeOver(channel);
  if (resume.session != 3 || resume.minor != 1 || resume.mount.mountpoint != "/m") ::_exit(96);
  ServeAndEnd(channel, resume.request, resume.session);
}

TEST_F(SupervisorUpgradeTest, TheOldWorkerRetiresWhenTheNewOneIsThere) {
  EXPECT_EQ(GoOn(Retire, {GoOnAndEnd}), 0);
  EXPECT_EQ(workers_, 1u);
  EXPECT_THAT(record_.acts, ElementsAre("detach /m")) << "and nothing was mounted again";
}

TEST_F(SupervisorUpgradeTest, AnOldWorkerThatDoesNotRetireIsKilled) {
  retire_ = std::chrono::milliseconds(100);
  EXPECT_EQ(GoOn(
                [](const BrokerChannel& channel) {
                  Expect<RetireMessage>(channel);
                  for (;;) ::pause();
                },
                {GoOnAndEnd}),
            0);
  EXPECT_EQ(workers_, 1u);
}

TEST_F(SupervisorUpgradeTest, AnOldWorkerThatDiesFirstIsReplacedAllTheSame) {
  EXPECT_EQ(GoOn([](const BrokerChannel&) { ::kill(::getpid(), SIGKILL); }, {GoOnAndEnd}), 0);
  EXPECT_EQ(workers_, 1u);
}

TEST_F(SupervisorUpgradeTest, ANewWorkerThatDiesChangesNothing) {
  EXPECT_EQ(GoOn(
                [](const BrokerChannel& channel) {
                  const auto failed = Expect<FailedMessage>(channel);
                  if (failed.request != 7) ::_exit(95);
                  Tell(channel, SessionGoneMessage{3});
                  EndInOrder(channel);
                },
                {[](const BrokerChannel&) { ::_exit(1); }}),
            0);
  EXPECT_EQ(workers_, 1u);
}

TEST_F(SupervisorUpgradeTest, ANewWorkerThatHangsChangesNothing) {
  retire_ = std::chrono::milliseconds(100);
  EXPECT_EQ(GoOn(
                [](const BrokerChannel& channel) {
                  if (Expect<FailedMessage>(channel).request != 7) ::_exit(95);
                  Tell(channel, SessionGoneMessage{3});
                  EndInOrder(channel);
                },
                {[](const BrokerChannel&) {
                  for (;;) ::pause();
                }}),
            0);
}

TEST_F(SupervisorUpgradeTest, AProgramThatCannotGoOnIsRefused) {
  EXPECT_EQ(GoOn(
                [](const BrokerChannel& channel) {
                  Tell(channel,
                       UpgradeMessage{.request = 9, .program = Fd(::open("/dev/null", O_RDONLY))});
                  const auto failed = Expect<FailedMessage>(channel);
                  if (failed.request != 9 || failed.error.what != "too old") ::_exit(95);
                  Tell(channel, SessionGoneMessage{3});
                  EndInOrder(channel);
                },
                {}, 0),
            0);
  EXPECT_EQ(workers_, 0u);
}

TEST_F(SupervisorUpgradeTest, WhoGoesOnReplacesAWorkerThatDies) {
  EXPECT_EQ(GoOn([](const BrokerChannel&) { ::kill(::getpid(), SIGKILL); }, {GoOnAndEnd}, 0), 0);
  EXPECT_EQ(workers_, 1u);
}

}  // namespace
}  // namespace modelfs::fs
