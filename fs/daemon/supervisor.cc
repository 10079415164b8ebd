#include "fs/daemon/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <utility>

namespace modelfs::fs {
namespace {

constexpr std::chrono::milliseconds kDrainRetry{100};

}  // namespace

constexpr bool Supervisor::MayMove(Phase from, Phase to) {
  using enum Phase;
  switch (from) {
    case kStarting: return to != kStarting;
    case kServing: return to == kDraining || to == kStopping || to == kEnded;
    case kDraining: return to == kStopping || to == kEnded;
    case kStopping: return to == kEnded;
    case kEnded: return false;
  }
  return false;
}

void Supervisor::Move(Phase to) {
  if (!MayMove(phase_, to)) {
    spdlog::error("supervisor.bad_move from={} to={}", std::to_underlying(phase_),
                  std::to_underlying(to));
    return;
  }
  phase_ = to;
}

int Supervisor::Run() {
  if (!TakeSignals()) {
    AnswerStarter(FailErrno(errno, "signalfd"));
    return 1;
  }
  Begin();
  while (phase_ != Phase::kEnded) {
    WaitForEvents();
    OnTimers();
  }
  return exit_code_;
}

/// Goes on with what there is already, or starts from nothing.
void Supervisor::Begin() {
  mounts_ = std::move(options_.kept);
  next_session_ = options_.next_session;
  next_request_ = options_.next_request;
  holder_ = std::exchange(options_.holder, std::nullopt);
  if (!mounts_.empty()) Move(Phase::kServing);
  if (options_.first) {
    first_request_ = next_request_++;
    pending_.emplace(first_request_, *std::move(options_.first));
  }
  worker_ = std::exchange(options_.worker, std::nullopt);
  if (!worker_) {
    StartWorker();
  } else {
    channel_open_ = true;
    restarts_.OnServing();
    last_pong_ = Clock::now();
    next_ping_ = last_pong_;
    if (worker_->ended) {
      SendToWorker(AdoptedMessage{static_cast<std::uint64_t>(::getpid())});
    }
    spdlog::info("supervisor.goes_on worker={} mounts={}", worker_->pid, mounts_.size());
    for (const auto& [request, mount] : pending_) {
      SendToWorker(AddMountMessage{.request = request, .mount = mount, .again = false});
    }
    OnChildEnded();  // It may have ended while nobody looked.
  }
  for (const auto& [id, mount] : mounts_) KeepAtHolder(id);
  if (options_.upgrade_request != 0 && worker_) StartSuccessor();
}

bool Supervisor::TakeSignals() {
  ::signal(SIGPIPE, SIG_IGN);  // The log may be a pipe that nobody reads any more.
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return false;
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  return static_cast<bool>(signals_);
}

void Supervisor::WaitForEvents() {
  auto until = Clock::now() + std::chrono::hours(1);
  for (const auto& when : {restart_at_, drain_until_, stop_until_}) {
    if (when) until = std::min(until, *when);
  }
  if (phase_ == Phase::kDraining) until = std::min(until, Clock::now() + kDrainRetry);
  if (worker_ && !retiring_) until = std::min(until, next_ping_);
  if (retire_until_) until = std::min(until, *retire_until_);
  if (!options_.daemon.hold.empty() && !holder_) until = std::min(until, meet_holder_at_);
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());

  const bool has_starter = phase_ == Phase::kStarting && options_.starter >= 0;
  std::array<pollfd, 6> fds{
      pollfd{signals_.get(), POLLIN, 0},
      pollfd{worker_ && channel_open_ ? worker_->channel.fd() : -1, POLLIN, 0},
      pollfd{has_starter ? options_.starter : -1, 0, 0},
      pollfd{successor_ ? successor_->channel.fd() : -1, POLLIN, 0},
      pollfd{worker_ && worker_->ended ? worker_->ended.get() : -1, POLLIN, 0},
      pollfd{holder_ ? holder_->fd() : -1, 0, 0}};
  const int timeout = static_cast<int>(std::max<std::int64_t>(0, wait.count()));
  if (::poll(fds.data(), fds.size(), timeout) <= 0) return;
  if (fds[1].revents != 0) ReadMessages();
  if (fds[0].revents != 0) ReadSignals();
  if (fds[3].revents != 0) ReadSuccessor();
  if (fds[4].revents != 0) OnChildEnded();
  if (fds[5].revents != 0) holder_.reset();
  if (fds[2].revents != 0 && phase_ == Phase::kStarting) {
    spdlog::info("supervisor.start_abandoned");
    OnTermination();
  }
}

void Supervisor::ReadSignals() {
  signalfd_siginfo info;
  while (phase_ != Phase::kEnded && ::read(signals_.get(), &info, sizeof info) == sizeof info) {
    switch (info.ssi_signo) {
      case SIGCHLD: OnChildEnded(); break;
      case SIGHUP:
        if (worker_) ::kill(worker_->pid, SIGHUP);
        break;
      default:
        spdlog::info("supervisor.signal signal={} from={}", info.ssi_signo, info.ssi_pid);
        OnTermination();
    }
  }
}

void Supervisor::OnTimers() {
  const auto now = Clock::now();
  WatchWorker(now);
  MeetHolder(now);
  if (retire_until_ && now >= *retire_until_ && successor_ && !retiring_) {
    DropSuccessor("the new worker was not ready in time");
  }
  if (restart_at_ && now >= *restart_at_) StartWorker();
  if (phase_ == Phase::kDraining) {
    const bool last = !drain_until_ || now >= *drain_until_;
    UnmountAll(last ? UnmountMode::kLazy : UnmountMode::kClean);
    if (last || AllUnmounted()) Stop();
  }
  if (phase_ == Phase::kStopping && stop_until_ && now >= *stop_until_) {
    spdlog::error("supervisor.worker_hangs pid={}: killed", worker_ ? worker_->pid : 0);
    AbortAll();
    End(1);
  }
}

void Supervisor::OnTermination() {
  if (phase_ == Phase::kEnded) return;
  if (phase_ == Phase::kDraining || phase_ == Phase::kStopping) {
    spdlog::warn("supervisor.abort");
    AbortAll();
    return End(1);
  }
  AnswerStarter(Fail(Errc::kCancelled, "interrupted before the mount answered"));
  if (!worker_) return End(0);
  drain_until_ = Clock::now() + options_.drain;
  Move(Phase::kDraining);
}

/// The first mount answers, and all that were kept.
void Supervisor::AnswerIfDone() {
  if (first_request_ != 0 && pending_.contains(first_request_)) return;
  if (AnyResuming()) return;
  AnswerStarter({});
}

void Supervisor::AnswerStarter(Result<void> result) {
  first_request_ = 0;
  if (phase_ == Phase::kStarting && result) Move(Phase::kServing);
  if (const auto answer = std::exchange(options_.on_first_mount, nullptr)) {
    answer(std::move(result));
  }
}

void Supervisor::StopIfIdle() {
  if (!mounts_.empty() || !pending_.empty()) return;
  if (phase_ == Phase::kStarting || phase_ == Phase::kServing) Stop();
}

void Supervisor::Stop() {
  stop_until_ = Clock::now() + options_.stop;
  Move(Phase::kStopping);
  if (!worker_) return End(1);
  SendToWorker(ShutdownMessage{});
}

void Supervisor::End(int exit_code) {
  if (successor_) DropSuccessor("the daemon ends");
  for (const auto& [id, mount] : mounts_) ForgetAtHolder(id);
  mounts_.clear();
  exit_code_ = exit_code;
  Move(Phase::kEnded);
  spdlog::info("supervisor.end exit_code={}", exit_code_);
}

}  // namespace modelfs::fs
