// What a supervisor does when its worker says something.
#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fs/daemon/supervisor.h"

namespace modelfs::fs {

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
  const unsigned minor = mounted->minor;
  Fd copy = Duplicate(mounted->device.get());
  mounts_.emplace(id, KeptMount{.spec = std::move(message.mount),
                                .minor = mounted->minor,
                                .init = {},
                                .device = std::move(mounted->device)});
  SendToWorker(MountedMessage{
      .request = message.request, .session = id, .device = std::move(copy), .minor = minor});
}

void Supervisor::On(SaveInitMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found != mounts_.end()) found->second.init = std::move(message.init);
}

void Supervisor::On(NodesMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found != mounts_.end()) found->second.nodes = std::move(message.log);
}

void Supervisor::On(RequestsMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found != mounts_.end()) found->second.requests = std::move(message.record);
}

void Supervisor::On(SpecMessage& message) {
  const auto found = mounts_.find(message.session);
  if (found == mounts_.end()) return;
  // Where it is mounted is ours to say.
  message.mount.mountpoint = found->second.spec.mountpoint;
  found->second.spec = std::move(message.mount);
  KeepAtHolder(found->first);
}

void Supervisor::On(PongMessage& message) {
  if (message.number == pings_) last_pong_ = Clock::now();
  if (phase_ == Phase::kServing) AnswerIfDone();
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
  KeepAtHolder(message.session);
  AnswerIfDone();
}

void Supervisor::On(FailedMessage& message) {
  if (phase_ == Phase::kStarting) exit_code_ = 1;
  if (phase_ == Phase::kStarting || (first_request_ != 0 && message.request == first_request_)) {
    AnswerStarter(std::unexpected(message.error));
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

}  // namespace modelfs::fs
