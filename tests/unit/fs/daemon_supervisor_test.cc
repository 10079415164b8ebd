#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fs/daemon/restart_policy.h"
#include "fs/daemon/supervisor.h"
#include "fs/tree/node_log.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/scripted_worker.h"

namespace modelfs::fs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace test;  // NOLINT(google-build-using-namespace): the scripts' vocabulary.

void GoodLife(const BrokerChannel& channel) {
  const SessionId session = MountFirst(channel);
  Tell(channel, SessionGoneMessage{session});
  EndInOrder(channel);
}

class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() {
    ::sigprocmask(SIG_SETMASK, nullptr, &mask_);
    ::signal(SIGPIPE, SIG_DFL);
  }
  ~SupervisorTest() override {
    // A signal that was not read must not end the test program.
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(signal, SIG_IGN);
    ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::signal(signal, SIG_DFL);
  }

  /// Runs a supervisor whose n-th worker does the n-th script (the last one from then on).
  int Supervise(std::vector<Script> scripts, int starter = -1) {
    MountSpec first;
    first.mountpoint = "/m";
    DaemonSpec daemon;
    daemon.cache_directory = dir_.path();
    daemon.control_socket = dir_.path() / "s.sock";
    auto spawn = [this, scripts = std::move(scripts)]() -> Result<WorkerProcess> {
      auto pair = BrokerChannel::MakePair();
      const Script& script = scripts[std::min<std::size_t>(workers_++, scripts.size() - 1)];
      const pid_t child = ::fork();
      if (child == 0) {
        {
          const BrokerChannel other = std::move(pair->supervisor);
        }
        script(pair->worker);
        ::_exit(0);
      }
      return WorkerProcess{.pid = child, .channel = std::move(pair->supervisor)};
    };
    Supervisor supervisor({.daemon = daemon,
                           .first = first,
                           .lock = **OwnerLock::TryAcquire(dir_.path()),
                           .mounter = std::make_unique<FakeMounter>(record_),
                           .spawn = spawn,
                           .on_first_mount = [this](Result<void> result) { answer_ = result; },
                           .starter = starter,
                           .drain = drain_,
                           .stop = stop_,
                           .restart_delay = std::chrono::milliseconds(1),
                           .ping = ping_,
                           .watchdog = watchdog_});
    return supervisor.Run();
  }

  const test::TempDir dir_;
  FakeMounter::Record record_;
  std::size_t workers_ = 0;
  std::optional<Result<void>> answer_;
  std::chrono::milliseconds drain_{20'000};
  std::chrono::milliseconds stop_{20'000};
  std::chrono::milliseconds ping_{10'000};
  std::chrono::milliseconds watchdog_{60'000};

 private:
  sigset_t mask_;
};

TEST_F(SupervisorTest, EndsWithItsLastMount) {
  EXPECT_EQ(Supervise({GoodLife}), 0);
  ASSERT_TRUE(answer_);
  EXPECT_TRUE(*answer_);
  EXPECT_THAT(record_.acts, ElementsAre("mount /m", "detach /m"));
}

TEST_F(SupervisorTest, SaysWhyTheFirstMountFailed) {
  const int exit_code = Supervise({[](const BrokerChannel& channel) {
    Expect<StartMessage>(channel);
    const auto add = Expect<AddMountMessage>(channel);
    Tell(channel, FailedMessage{.request = add.request, .error = {Errc::kDenied, "bad key"}});
    EndInOrder(channel);
  }});
  EXPECT_EQ(exit_code, 1);
  ASSERT_TRUE(answer_ && !*answer_);
  EXPECT_EQ(answer_->error().what, "bad key");
}

TEST_F(SupervisorTest, PassesOnThatTheKernelRefused) {
  record_.refuse_mount = Error{Errc::kDenied, "mount /m: refused"};
  const int exit_code = Supervise({[](const BrokerChannel& channel) {
    Expect<StartMessage>(channel);
    const auto add = Expect<AddMountMessage>(channel);
    Tell(channel, MountRequestMessage{.request = 1, .mount = add.mount});
    auto refused = Expect<FailedMessage>(channel);
    Tell(channel, FailedMessage{.request = add.request, .error = std::move(refused.error)});
    EndInOrder(channel);
  }});
  EXPECT_EQ(exit_code, 1);
  ASSERT_TRUE(answer_ && !*answer_);
  EXPECT_EQ(answer_->error().what, "mount /m: refused");
}

TEST_F(SupervisorTest, SaysThatTheWorkerDiedWhileStarting) {
  EXPECT_EQ(Supervise({[](const BrokerChannel&) { ::kill(::getpid(), SIGKILL); }}), 1);
  ASSERT_TRUE(answer_ && !*answer_);
  EXPECT_THAT(answer_->error().what, HasSubstr("killed by signal 9"));
  EXPECT_EQ(workers_, 1u) << "nothing to restart for";
}

TEST_F(SupervisorTest, KeepsAMountWhoseOwnDaemonHasOthers) {
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
              const SessionId first = MountFirst(channel);
              MountSpec second;
              second.mountpoint = "/n";
              Tell(channel, MountRequestMessage{.request = 2, .mount = second});
              const auto mounted = Expect<MountedMessage>(channel);
              Tell(channel, ReadyMessage{.request = 0, .session = mounted.session});
              Tell(channel, SessionGoneMessage{first});
              Tell(channel, SessionGoneMessage{mounted.session});
              EndInOrder(channel);
            }}),
            0);
  EXPECT_THAT(record_.acts, ElementsAre("mount /m", "mount /n", "detach /m", "detach /n"));
}

TEST_F(SupervisorTest, GivesTheNextWorkerFreshMountsWhenOneDies) {
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
                         MountFirst(channel);
                         ::kill(::getpid(), SIGKILL);
                       },
                       [](const BrokerChannel& channel) {
                         Expect<StartMessage>(channel);
                         MountAgainAndEnd(channel);
                       }}),
            0);
  EXPECT_EQ(workers_, 2u);
  EXPECT_THAT(record_.acts,
              ElementsAre("mount /m", "detach /m", "abort 1", "mount /m", "detach /m"));
}

TEST_F(SupervisorTest, GivesUpWhenWorkersKeepDyingBeforeTheyServe) {
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
                         MountFirst(channel);
                         ::kill(::getpid(), SIGKILL);
                       },
                       [](const BrokerChannel& channel) {
                         Expect<StartMessage>(channel);
                         ::kill(::getpid(), SIGKILL);
                       }}),
            1);
  // The first one served; after it five in a row did not.
  EXPECT_EQ(workers_, 1 + RestartPolicy::kMaxBarren);
  EXPECT_EQ(record_.acts.back(), "abort 1");
}

/// Start and first mount, whose node ids are kept.
SessionId MountToKeep(const BrokerChannel& channel) {
  const SessionId session = MountFirst(channel);
  const auto log = NodeLog::Create();
  (*log)->Append("a node");
  Tell(channel, NodesMessage{.session = session, .log = *(*log)->Share()});
  return session;
}

TEST_F(SupervisorTest, HandsTheMountsOfADeadWorkerToTheNext) {
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
                         MountToKeep(channel);
                         ::kill(::getpid(), SIGKILL);
                       },
                       [](const BrokerChannel& channel) {
                         Expect<StartMessage>(channel);
                         auto nodes = Expect<NodesMessage>(channel);
                         const auto log = NodeLog::Adopt(std::move(nodes.log));
                         std::string kept;
                         if (!log || !(*log)->Replay([&](std::string_view record) {
                               kept = record;
                               return Result<void>();
                             })) {
                           ::_exit(94);
                         }
                         const auto resume = Expect<ResumeMountMessage>(channel);
                         if (kept != "a node" || resume.session != nodes.session ||
                             resume.init != std::vector{std::byte{1}} || !resume.device) {
                           ::_exit(93);
                         }
                         ServeAndEnd(channel, resume.request, resume.session);
                       }}),
            0);
  EXPECT_EQ(workers_, 2u);
  EXPECT_THAT(record_.acts, ElementsAre("mount /m", "detach /m"));
}

TEST_F(SupervisorTest, TellsTheNextWorkerWhatAReloadMadeOfAMount) {
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
                         const SessionId session = MountToKeep(channel);
                         MountSpec reloaded;
                         reloaded.mountpoint = "/elsewhere";
                         reloaded.listing_ttl = std::chrono::seconds(7);
                         Tell(channel, SpecMessage{.session = session, .mount = reloaded});
                         ::kill(::getpid(), SIGKILL);
                       },
                       [](const BrokerChannel& channel) {
                         const auto resume = TakeOver(channel);
                         if (resume.mount.listing_ttl != std::chrono::seconds(7)) ::_exit(96);
                         if (resume.mount.mountpoint != "/m") ::_exit(95);
                         ServeAndEnd(channel, resume.request, resume.session);
                       }}),
            0);
  EXPECT_EQ(workers_, 2u);
}

TEST_F(SupervisorTest, MakesAMountAfreshThatTheNextWorkerCannotGoOnWith) {
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
                         MountToKeep(channel);
                         ::kill(::getpid(), SIGKILL);
                       },
                       [](const BrokerChannel& channel) {
                         const auto resume = TakeOver(channel);
                         Tell(channel, FailedMessage{.request = resume.request,
                                                     .error = {Errc::kCorrupt, "node log"}});
                         MountAgainAndEnd(channel);
                       }}),
            0);
  EXPECT_THAT(record_.acts,
              ElementsAre("mount /m", "detach /m", "abort 1", "mount /m", "detach /m"));
}

TEST_F(SupervisorTest, ReplacesAWorkerThatDoesNotAnswer) {
  ping_ = std::chrono::milliseconds(5);
  watchdog_ = std::chrono::milliseconds(100);
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
                         MountToKeep(channel);
                         const auto ping = Expect<PingMessage>(channel);
                         Tell(channel, PongMessage{ping.number});
                         for (;;) ::pause();  // The next ping is not answered.
                       },
                       [](const BrokerChannel& channel) {
                         const auto resume = TakeOver(channel);
                         ServeAndEnd(channel, resume.request, resume.session);
                       }}),
            0);
  EXPECT_EQ(workers_, 2u);
}

TEST_F(SupervisorTest, UnmountsOnATermination) {
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
              MountFirst(channel);
              ::kill(::getppid(), SIGTERM);
              EndInOrder(channel);
            }}),
            0);
  EXPECT_THAT(record_.acts, ElementsAre("mount /m", "umount /m"));
}

TEST_F(SupervisorTest, DetachesABusyMountWhenItsTimeIsOver) {
  record_.busy = true;
  drain_ = std::chrono::milliseconds(50);
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
              MountFirst(channel);
              ::kill(::getppid(), SIGTERM);
              EndInOrder(channel);
            }}),
            0);
  EXPECT_THAT(record_.acts, ElementsAre("mount /m", "detach /m"));
}

TEST_F(SupervisorTest, RefusesMountsWhileEnding) {
  record_.busy = true;
  drain_ = std::chrono::milliseconds(300);
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
              MountFirst(channel);
              ::kill(::getppid(), SIGTERM);
              auto message = channel.Receive();  // Shutdown: what is asked now comes too late.
              if (!message || !*message) ::_exit(96);
              Tell(channel, MountRequestMessage{.request = 7, .mount = MountSpec()});
              if (Expect<FailedMessage>(channel).error.code != Errc::kCancelled) ::_exit(95);
              Tell(channel, ByeMessage{});
            }}),
            0);
}

TEST_F(SupervisorTest, AbortsAtTheSecondTermination) {
  record_.busy = true;
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
              MountFirst(channel);
              ::kill(::getppid(), SIGTERM);
              ::kill(::getppid(), SIGINT);
              for (;;) ::pause();
            }}),
            1);
  EXPECT_THAT(record_.acts, ElementsAre("mount /m", "detach /m", "abort 1"));
}

TEST_F(SupervisorTest, KillsAWorkerThatDoesNotEnd) {
  stop_ = std::chrono::milliseconds(50);
  EXPECT_EQ(Supervise({[](const BrokerChannel& channel) {
              MountFirst(channel);
              ::kill(::getppid(), SIGTERM);
              for (;;) ::pause();
            }}),
            1);
  EXPECT_THAT(record_.acts, ElementsAre("mount /m", "umount /m", "abort 1"));
}

TEST_F(SupervisorTest, GivesUpAStartThatNobodyWaitsFor) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd write_end(ends[1]);
  ::close(ends[0]);
  Supervise({[](const BrokerChannel& channel) {
              Expect<StartMessage>(channel);
              Expect<AddMountMessage>(channel);
              EndInOrder(channel);
            }},
            write_end.get());
  ASSERT_TRUE(answer_ && !*answer_);
  EXPECT_EQ(answer_->error().code, Errc::kCancelled);
}

}  // namespace
}  // namespace modelfs::fs
