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

std::string DescribeEnd(int status) {
  if (WIFEXITED(status)) return fmt::format("exited with code {}", WEXITSTATUS(status));
  return fmt::format("was killed by signal {} ({})", WTERMSIG(status),
                     ::sigdescr_np(WTERMSIG(status)));
}

Fd Duplicate(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

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
  pending_.emplace(next_request_++, options_.first);
  StartWorker();
  while (phase_ != Phase::kEnded) {
    WaitForEvents();
    OnTimers();
  }
  return exit_code_;
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

void Supervisor::StartWorker() {
  restart_at_.reset();
  auto worker = options_.spawn();
  if (!worker) {
    AnswerStarter(std::unexpected(worker.error()));
    spdlog::error("supervisor.no_worker error=\"{}\"", worker.error().what);
    return End(1);
  }
  worker_.emplace(*std::move(worker));
  channel_open_ = true;
  bye_ = false;
  pings_ = 0;
  last_pong_ = Clock::now();
  next_ping_ = last_pong_ + options_.ping;
  spdlog::info("supervisor.worker_started pid={} cache={}", worker_->pid,
               options_.daemon.cache_directory);
  SendToWorker(StartMessage{.daemon = options_.daemon, .lock = Duplicate(options_.lock.fd())});
  // First, so that readers of these wait no longer than they must.
  for (auto& [id, mount] : mounts_) AskToResume(id, mount);
  for (const auto& [request, mount] : pending_) {
    SendToWorker(
        AddMountMessage{.request = request, .mount = mount, .again = phase_ != Phase::kStarting});
  }
}

void Supervisor::WaitForEvents() {
  auto until = Clock::now() + std::chrono::hours(1);
  for (const auto& when : {restart_at_, drain_until_, stop_until_}) {
    if (when) until = std::min(until, *when);
  }
  if (phase_ == Phase::kDraining) until = std::min(until, Clock::now() + kDrainRetry);
  if (worker_) until = std::min(until, next_ping_);
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());

  const bool has_starter = phase_ == Phase::kStarting && options_.starter >= 0;
  std::array<pollfd, 3> fds{
      pollfd{signals_.get(), POLLIN, 0},
      pollfd{worker_ && channel_open_ ? worker_->channel.fd() : -1, POLLIN, 0},
      pollfd{has_starter ? options_.starter : -1, 0, 0}};
  const int timeout = static_cast<int>(std::max<std::int64_t>(0, wait.count()));
  if (::poll(fds.data(), fds.size(), timeout) <= 0) return;
  if (fds[1].revents != 0) ReadMessages();
  if (fds[0].revents != 0) ReadSignals();
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

/// Everything that has arrived, without waiting.
void Supervisor::ReadMessages() {
  while (worker_ && channel_open_) {
    pollfd wait{worker_->channel.fd(), POLLIN, 0};
    if (::poll(&wait, 1, 0) <= 0) return;
    auto message = worker_->channel.Receive();
    if (!message) {
      spdlog::error("supervisor.bad_message error=\"{}\"", message.error().what);
      channel_open_ = message.error().code == Errc::kInvalid;
      continue;
    }
    std::optional<BrokerMessage>& received = *message;
    if (!received) {
      channel_open_ = false;
      return;
    }
    std::visit([this](auto& m) { On(m); }, *received);
  }
}

void Supervisor::On(MountRequestMessage& message) {
  const auto refuse = [&](Error error) {
    SendToWorker(FailedMessage{.request = message.request, .error = std::move(error)});
  };
  if (phase_ != Phase::kStarting && phase_ != Phase::kServing) {
    return refuse({Errc::kCancelled, "the daemon is ending"});
  }
  auto mounted = options_.mounter->Mount(message.mount);
  if (!mounted) return refuse(std::move(mounted.error()));
  const SessionId id = next_session_++;
  spdlog::info("supervisor.mounted session={} mountpoint={} connection={}", id,
               message.mount.mountpoint, mounted->minor);
  Fd copy = Duplicate(mounted->device.get());
  mounts_.emplace(id, KeptMount{.spec = std::move(message.mount),
                                .minor = mounted->minor,
                                .init = {},
                                .device = std::move(mounted->device)});
  SendToWorker(
      MountedMessage{.request = message.request, .session = id, .device = std::move(copy)});
}

void Supervisor::On(SaveInitMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found != mounts_.end()) found->second.init = std::move(message.init);
}

void Supervisor::On(NodesMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found != mounts_.end()) found->second.nodes = std::move(message.log);
}

void Supervisor::On(SpecMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found == mounts_.end()) return;
  // Where it is mounted is ours to say.
  message.mount.mountpoint = found->second.spec.mountpoint;
  found->second.spec = std::move(message.mount);
}

void Supervisor::On(PongMessage& message) {
  if (message.number == pings_) last_pong_ = Clock::now();
}

void Supervisor::On(ReadyMessage& message) {
  pending_.erase(message.request);
  const auto found = mounts_.find(message.session);
  if (found == mounts_.end()) return;
  KeptMount& mount = found->second;
  mount.resuming = 0;
  NoteServing();
  if (auto done = options_.mounter->SetReadAhead(mount.minor); !done) {
    spdlog::info("supervisor.read_ahead_unchanged mountpoint={} reason=\"{}\"",
                 mount.spec.mountpoint, done.error().what);
  }
  spdlog::info("supervisor.ready session={} mountpoint={}", message.session, mount.spec.mountpoint);
  AnswerStarter({});
}

void Supervisor::On(FailedMessage& message) {
  if (phase_ == Phase::kStarting) {
    AnswerStarter(std::unexpected(message.error));
    exit_code_ = 1;
  } else {
    spdlog::error("supervisor.request_failed request={} error=\"{}\"", message.request,
                  message.error.what);
  }
  pending_.erase(message.request);
  if (message.request == 0) pending_.clear();
  const auto resumed = std::ranges::find_if(mounts_, [&](const auto& entry) {
    return message.request != 0 && entry.second.resuming == message.request;
  });
  if (resumed != mounts_.end()) Renew(resumed);
  StopIfIdle();
}

void Supervisor::On(UnmountRequestMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found == mounts_.end()) return;
  Detach(found->first, found->second);
  Discard(found);
}

void Supervisor::On(SessionGoneMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found == mounts_.end()) return;
  spdlog::info("supervisor.unmounted session={} mountpoint={}", found->first,
               found->second.spec.mountpoint);
  // An aborted connection is gone too, but leaves its mount point behind.
  Detach(found->first, found->second);
  Discard(found);
}

void Supervisor::On(ByeMessage&) { bye_ = true; }

template <class Unexpected>
void Supervisor::On(Unexpected&) {
  spdlog::error("supervisor.unexpected_message");
}

/// Asks the worker whether it lives, and ends one that has not said so for too long.
void Supervisor::WatchWorker(Clock::time_point now) {
  if (!worker_ || phase_ == Phase::kStopping || phase_ == Phase::kEnded) return;
  if (now - last_pong_ >= options_.watchdog) {
    spdlog::error("supervisor.worker_hangs pid={} silent_ms={}: killed", worker_->pid,
                  std::chrono::duration_cast<std::chrono::milliseconds>(now - last_pong_).count());
    last_pong_ = now;
    ::kill(worker_->pid, SIGKILL);
    return;
  }
  if (now < next_ping_) return;
  next_ping_ = now + options_.ping;
  // One at a time, so that a worker that does not read is not drowned.
  if (pings_ == 0 || last_pong_ >= last_ping_) {
    last_ping_ = now;
    SendToWorker(PingMessage{++pings_});
  }
}

void Supervisor::OnTimers() {
  const auto now = Clock::now();
  WatchWorker(now);
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

void Supervisor::OnChildEnded() {
  int status = 0;
  if (!worker_ || ::waitpid(worker_->pid, &status, WNOHANG) != worker_->pid) return;
  const std::string how = DescribeEnd(status);
  ReadMessages();  // It may have said why.
  if (phase_ == Phase::kEnded) return;
  channel_open_ = false;
  const bool in_order = bye_ && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  spdlog::log(in_order ? spdlog::level::info : spdlog::level::err,
              "supervisor.worker_ended pid={} how=\"{}\"", worker_->pid, how);
  worker_.reset();
  if (phase_ == Phase::kStopping) return End(in_order ? exit_code_ : 1);
  OnWorkerDeath(how);
}

void Supervisor::OnWorkerDeath(const std::string& how) {
  AnswerStarter(
      Fail(Errc::kIo, fmt::format("the worker process {} before the mount answered", how)));
  const bool wanted = phase_ == Phase::kServing;
  const auto delay = wanted ? restarts_.OnDeath(Clock::now()) : std::nullopt;
  for (auto mount = mounts_.begin(); mount != mounts_.end();) {
    const auto next = std::next(mount);
    mount->second.resuming = 0;
    if (!delay || !MayResume(mount->second)) Renew(mount);
    mount = next;
  }
  if (!wanted || (pending_.empty() && mounts_.empty())) return End(1);
  if (!delay) {
    spdlog::error("supervisor.gave_up deaths={}: all mounts are detached",
                  RestartPolicy::kMaxBarren);
    return End(1);
  }
  spdlog::warn("supervisor.restart delay_ms={} kept={} afresh={}", delay->count(), mounts_.size(),
               pending_.size());
  restart_at_ = Clock::now() + *delay;
}

void Supervisor::AnswerStarter(Result<void> result) {
  if (phase_ == Phase::kStarting && result) Move(Phase::kServing);
  if (const auto answer = std::exchange(options_.on_first_mount, nullptr)) {
    answer(std::move(result));
  }
}

void Supervisor::SendToWorker(const BrokerMessage& message) {
  if (!worker_ || !channel_open_) return;
  auto sent = worker_->channel.Send(message);
  if (!sent && sent.error().code != Errc::kIo) {  // kIo: it has ended, and SIGCHLD tells.
    // A worker that does not listen is as good as dead.
    spdlog::error("supervisor.send_failed error=\"{}\": worker {} is killed", sent.error().what,
                  worker_->pid);
    ::kill(worker_->pid, SIGKILL);
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
  mounts_.clear();
  exit_code_ = exit_code;
  Move(Phase::kEnded);
  spdlog::info("supervisor.end exit_code={}", exit_code_);
}

}  // namespace modelfs::fs
