// What a supervisor does with its worker: start, watch, bury.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include <cstring>
#include <iterator>
#include <utility>

#include "fs/daemon/supervisor.h"

namespace modelfs::fs {
namespace {

std::string DescribeEnd(int status) {
  if (WIFEXITED(status)) return fmt::format("exited with code {}", WEXITSTATUS(status));
  return fmt::format("was killed by signal {} ({})", WTERMSIG(status),
                     ::sigdescr_np(WTERMSIG(status)));
}

}  // namespace

void Supervisor::StartWorker() {
  restart_at_.reset();
  auto worker = options_.spawn();
  if (!worker) {
    AnswerStarter(std::unexpected(worker.error()));
    spdlog::error("supervisor.no_worker error=\"{}\"", worker.error().what);
    return End(1);
  }
  Welcome(*std::move(worker));
}

/// From now on this is the worker: it gets all that there is to do.
void Supervisor::Welcome(WorkerProcess worker) {
  worker_.emplace(std::move(worker));
  channel_open_ = true;
  bye_ = false;
  killed_ = false;
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

void Supervisor::SendToWorker(const BrokerMessage& message) {
  if (!worker_ || !channel_open_) return;
  NoteSent(worker_->channel.Send(message));
}

void Supervisor::NoteSent(const Result<void>& sent) {
  if (!sent && sent.error().code != Errc::kIo) {  // kIo: it has ended, and SIGCHLD tells.
    // A worker that does not listen is as good as dead.
    spdlog::error("supervisor.send_failed error=\"{}\": worker {} is killed", sent.error().what,
                  worker_->pid);
    ::kill(worker_->pid, SIGKILL);
  }
}

/// Asks the worker whether it lives, and ends one that has not said so for too long.
void Supervisor::WatchWorker(Clock::time_point now) {
  if (!worker_ || phase_ == Phase::kStopping || phase_ == Phase::kEnded) return;
  if (retiring_) {
    if (!retire_until_ || now < *retire_until_) return;
    spdlog::warn("supervisor.retires_slowly pid={}: killed", worker_->pid);
    retire_until_.reset();
    ::kill(worker_->pid, SIGKILL);
    return;
  }
  if (now - last_pong_ >= options_.watchdog) {
    spdlog::error("supervisor.worker_hangs pid={} silent_ms={}: killed", worker_->pid,
                  std::chrono::duration_cast<std::chrono::milliseconds>(now - last_pong_).count());
    last_pong_ = now;
    ::kill(worker_->pid, SIGKILL);
    if (std::exchange(killed_, true)) DropDeadMounts();
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

/// A worker in the hands of a disk that hangs cannot be ended, nor tell that a mount is gone. Its
/// mounts that live wait for the disk with it; for those that were unmounted there is nothing to
/// do.
void Supervisor::DropDeadMounts() {
  spdlog::error("supervisor.worker_stuck pid={}: does not end though killed",
                worker_ ? worker_->pid : 0);
  std::erase_if(mounts_, [this](const auto& entry) {
    const bool dead = IsGone(entry.second);
    if (dead) {
      spdlog::info("supervisor.unmounted session={} mountpoint={}", entry.first,
                   entry.second.spec.mountpoint);
      ForgetAtHolder(entry.first);
    }
    return dead;
  });
  if (mounts_.empty() && pending_.empty()) End(1);
}

void Supervisor::OnChildEnded() {
  if (successor_ && ::waitpid(successor_->pid, nullptr, WNOHANG) == successor_->pid) {
    DropSuccessor("the new worker ended at once");
  }
  if (!worker_) return;
  int status = 0;
  std::string how = "has ended";
  if (worker_->ended) {
    pollfd ended{.fd = worker_->ended.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ended, 1, 0) <= 0) return;
  } else {
    if (::waitpid(worker_->pid, &status, WNOHANG) != worker_->pid) return;
    how = DescribeEnd(status);
  }
  ReadMessages();  // It may have said why.
  if (phase_ == Phase::kEnded) return;
  channel_open_ = false;
  const bool in_order = bye_ && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  spdlog::log(in_order ? spdlog::level::info : spdlog::level::err,
              "supervisor.worker_ended pid={} how=\"{}\"", worker_->pid, how);
  worker_.reset();
  if (phase_ == Phase::kStopping) return End(in_order ? exit_code_ : 1);
  if (successor_) return OnRetirementOver();
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

}  // namespace modelfs::fs
