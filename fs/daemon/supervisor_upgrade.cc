// How a supervisor becomes another program, and a worker makes room for its successor.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "fs/daemon/child_process.h"
#include "fs/daemon/supervisor.h"
#include "fs/daemon/supervisor_state.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::seconds kCheckLimit{5};

std::string PathOf(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

}  // namespace

Result<void> CheckProgram(int program) {
  const std::vector<std::string> argv{PathOf(program), "supervise", "--check",
                                      std::to_string(kSupervisorStateVersion)};
  auto ran = RunProgram(argv, program, "", kCheckLimit);
  if (!ran) return std::unexpected(ran.error());
  if (ran->exit_code == 0) return {};
  return Fail(Errc::kInvalid,
              fmt::format("the new program cannot go on from this one (exit code {}): {}",
                          ran->exit_code, ran->output));
}

void Supervisor::On(UpgradeMessage& message) {
  const auto refuse = [&](Error error) {
    spdlog::error("supervisor.upgrade_refused error=\"{}\"", error.what);
    SendToWorker(FailedMessage{.request = message.request, .error = std::move(error)});
  };
  if (phase_ != Phase::kServing || successor_ || !pending_.empty() || AnyResuming()) {
    return refuse(
        {Errc::kTransient, "a mount is just being made, handed over or ended: try again"});
  }
  if (auto checked = options_.check_program(message.program.get()); !checked) {
    return refuse(std::move(checked.error()));
  }
  spdlog::info("supervisor.upgrade mounts={}", mounts_.size());
  // Returns only when it failed.
  refuse(std::move(Become(message.program.get(), message.request).error()));
}

/// Makes this process another program, with all that it has to go on with.
/// Errors: kIo: nothing has changed.
Result<void> Supervisor::Become(int program, std::uint64_t request) {
  SupervisorState state{.daemon = options_.daemon,
                        .lock = OwnerLock(Duplicate(options_.lock.fd())),
                        .worker = std::exchange(worker_, std::nullopt),
                        .mounts = std::exchange(mounts_, {}),
                        .next_session = next_session_,
                        .next_request = next_request_,
                        .upgrade_request = request};
  auto saved = SaveState(state);
  int error_number = 0;
  if (saved) {
    const std::string number = std::to_string(saved->get());
    ::execl(PathOf(program).c_str(), "modelfs", "supervise", "--state-fd", number.c_str(), nullptr);
    error_number = errno;
    KeepFromExec(state);
  }
  worker_ = std::move(state.worker);
  mounts_ = std::move(state.mounts);
  if (!saved) return std::unexpected(saved.error());
  return FailErrno(error_number, "start the new program in place of the supervisor");
}

/// The new worker comes up while the old one serves.
void Supervisor::StartSuccessor() {
  auto spawned = options_.spawn();
  if (!spawned) return DropSuccessor(spawned.error().what);
  successor_.emplace(*std::move(spawned));
  retire_until_ = Clock::now() + options_.retire;
  if (auto sent = successor_->channel.Send(PingMessage{1}); !sent) DropSuccessor(sent.error().what);
}

/// Its pong says that it is loaded and waits: now the old one may retire.
void Supervisor::ReadSuccessor() {
  if (!successor_) return;
  auto message = successor_->channel.Receive();
  std::optional<BrokerMessage> received;
  if (message) received = *std::move(message);
  if (!received || !std::holds_alternative<PongMessage>(*received)) {
    return DropSuccessor("the new worker ended before it was ready");
  }
  if (retiring_) return;
  if (!worker_) return OnRetirementOver();
  retiring_ = true;
  retire_until_ = Clock::now() + options_.retire;
  SendToWorker(RetireMessage{});
}

/// Nothing has changed for readers: the old worker serves on.
void Supervisor::DropSuccessor(std::string why) {
  spdlog::error("supervisor.upgrade_failed error=\"{}\"", why);
  if (successor_) {
    ::kill(successor_->pid, SIGKILL);
    if (WaitForExit(successor_->pid, options_.retire)) ::waitpid(successor_->pid, nullptr, WNOHANG);
    successor_.reset();
  }
  retire_until_.reset();
  SendToWorker(FailedMessage{.request = std::exchange(options_.upgrade_request, 0),
                             .error = {Errc::kIo, std::move(why)}});
}

/// The old worker is gone, in order or not; the new one waits.
void Supervisor::OnRetirementOver() {
  retiring_ = false;
  retire_until_.reset();
  options_.upgrade_request = 0;
  if (auto next = std::exchange(successor_, std::nullopt)) Welcome(*std::move(next));
}

}  // namespace modelfs::fs
