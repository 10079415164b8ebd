// What a supervisor does with the mounts that it keeps: hand over, renew, unmount, abort.
#include <fcntl.h>
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

Fd Duplicate(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

}  // namespace

bool Supervisor::MayResume(const KeptMount& mount) const {
  return !mount.detached && !mount.init.empty() && mount.nodes;
}

void Supervisor::AskToResume(SessionId id, KeptMount& mount) {
  mount.resuming = next_request_++;
  SendToWorker(NodesMessage{.session = id, .log = Duplicate(mount.nodes.get())});
  SendToWorker(ResumeMountMessage{.request = mount.resuming,
                                  .session = id,
                                  .mount = mount.spec,
                                  .init = mount.init,
                                  .device = Duplicate(mount.device.get())});
}

/// Nobody can go on with this mount: its readers get an error, and the place a mount of its own.
void Supervisor::Renew(Mounts::iterator mount) {
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
  mounts_.erase(mount);
}

void Supervisor::NoteServing() {
  const bool all =
      std::ranges::none_of(mounts_, [](const auto& entry) { return entry.second.resuming != 0; });
  if (all) restarts_.OnServing();
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

void Supervisor::Discard(Mounts::iterator mount) {
  mounts_.erase(mount);
  StopIfIdle();
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
