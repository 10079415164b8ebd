// What a supervisor does with the mounts that it keeps: hand over, renew, unmount, abort.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "fs/daemon/child_process.h"
#include "fs/daemon/supervisor.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::milliseconds kKillWait{2'000};
constexpr std::chrono::milliseconds kMeetHolder{2'000};

}  // namespace

void Supervisor::AskToResume(SessionId id, KeptMount& mount) {
  mount.resuming = next_request_++;
  if (!worker_ || !channel_open_) return;
  NoteSent(SendKept(worker_->channel, id, mount, mount.resuming));
}

bool Supervisor::AnyResuming() const {
  return std::ranges::any_of(mounts_, [](const auto& entry) { return entry.second.resuming != 0; });
}

/// Nobody can go on with this mount: its readers get an error, and the place a mount of its own.
void Supervisor::Renew(KeptMounts::iterator mount) {
  auto& [id, kept] = *mount;
  Detach(id, kept);
  Abort(id, kept);
  if (phase_ == Phase::kServing) {
    const auto request = next_request_++;
    if (worker_) {
      SendToWorker(AddMountMessage{.request = request, .mount = kept.spec, .again = true});
    }
    pending_.emplace(request, std::move(kept.spec));
  }
  ForgetAtHolder(id);
  mounts_.erase(mount);
}

void Supervisor::NoteServing() {
  if (!AnyResuming()) restarts_.OnServing();
}

void Supervisor::UnmountAll(UnmountMode mode) {
  for (auto& [id, mount] : mounts_) {
    if (mount.detached) continue;
    const auto outcome = options_.mounter->Unmount(mount.spec.mountpoint, mount.minor, mode);
    if (!outcome) {
      spdlog::error("supervisor.unmount_failed session={} error=\"{}\"", id, outcome.error().what);
    } else if (*outcome == UnmountOutcome::kGone) {
      mount.detached = true;
      if (mode == UnmountMode::kLazy) {
        spdlog::warn("supervisor.detached_busy session={} mountpoint={}", id,
                     mount.spec.mountpoint);
      }
    }
  }
}

bool Supervisor::AllUnmounted() const {
  return std::ranges::all_of(mounts_, [](const auto& entry) { return entry.second.detached; });
}

void Supervisor::Detach(SessionId id, KeptMount& mount) {
  if (std::exchange(mount.detached, true)) return;
  const auto outcome =
      options_.mounter->Unmount(mount.spec.mountpoint, mount.minor, UnmountMode::kLazy);
  if (!outcome) {
    spdlog::error("supervisor.unmount_failed session={} error=\"{}\"", id, outcome.error().what);
  }
}

void Supervisor::Abort(SessionId id, const KeptMount& mount) {
  if (auto done = options_.mounter->Abort(mount.minor); !done) {
    spdlog::warn("supervisor.abort_failed session={} error=\"{}\"", id, done.error().what);
  }
}

void Supervisor::Discard(KeptMounts::iterator mount) {
  ForgetAtHolder(mount->first);
  mounts_.erase(mount);
  StopIfIdle();
}

/// Looks for the holder that there should be, every other second, and gives it all mounts.
void Supervisor::MeetHolder(Clock::time_point now) {
  if (options_.daemon.hold.empty() || holder_ || now < meet_holder_at_) return;
  auto met = HolderLink::Connect(options_.daemon.hold, options_.daemon.cache_directory);
  if (!met) {
    spdlog::warn("supervisor.no_holder error=\"{}\"", met.error().what);
    meet_holder_at_ = now + kMeetHolder;
    return;
  }
  holder_.emplace(std::move(met->link));
  spdlog::info("supervisor.holder_met socket={}", options_.daemon.hold);
  for (const auto& [id, mount] : mounts_) KeepAtHolder(id);
}

void Supervisor::KeepAtHolder(SessionId id) {
  const auto found = mounts_.find(id);
  if (!holder_ || found == mounts_.end() || !MayResume(found->second)) return;
  if (auto kept = holder_->Keep(id, found->second); !kept) {
    spdlog::warn("supervisor.holder_lost error=\"{}\"", kept.error().what);
    holder_.reset();
  }
}

void Supervisor::ForgetAtHolder(SessionId id) {
  if (holder_ && !holder_->Forget(id)) holder_.reset();
}

/// Nothing may hang after this, at the price of errors at readers.
void Supervisor::AbortAll() {
  for (auto& [id, mount] : mounts_) {
    Detach(id, mount);
    Abort(id, mount);
  }
  if (!worker_) return;
  ::kill(worker_->pid, SIGKILL);
  if (WaitForExit(worker_->pid, kKillWait)) ::waitpid(worker_->pid, nullptr, WNOHANG);
}

}  // namespace modelfs::fs
