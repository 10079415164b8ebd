#include "fs/daemon/broker_client.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

namespace modelfs::fs {

template <class Make>
BrokerClient::Answer BrokerClient::Ask(Make make, const std::string& wish,
                                       std::chrono::milliseconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  std::uint64_t request = 0;
  {
    MutexLock lock(mutex_);
    request = next_request_++;
    waiting_.emplace(request, std::nullopt);
  }
  auto sent = Channel()->Send(make(request));
  MutexLock lock(mutex_);
  const auto waiting = waiting_.find(request);
  bool in_time = true;
  while (sent && in_time && !waiting->second && connected_ && !closed_) {
    in_time = answered_.WaitUntil(mutex_, until);
  }
  std::optional<Answer> answer = std::move(waiting->second);
  waiting_.erase(waiting);
  if (answer) return *std::move(answer);
  if (closed_) return Fail(Errc::kCancelled, "the daemon is ending");
  if (!sent || !connected_) {
    return Fail(Errc::kIo,
                fmt::format("{}: the supervisor of this daemon has died: 'modelfs mount' "
                            "with the same cache gives it another",
                            wish));
  }
  return Fail(Errc::kTimeout, fmt::format("{}: the supervisor did not answer within {} s", wish,
                                          deadline.count() / 1000));
}

Result<MountedMessage> BrokerClient::RequestMount(const MountSpec& spec,
                                                  std::chrono::milliseconds deadline) {
  return Ask(
      [&](std::uint64_t request) { return MountRequestMessage{.request = request, .mount = spec}; },
      fmt::format("mount {}", spec.mountpoint), deadline);
}

Result<void> BrokerClient::RequestUpgrade(Fd program, std::chrono::milliseconds deadline) {
  auto answer = Ask(
      [&](std::uint64_t request) {
        MutexLock lock(mutex_);
        upgrade_ = request;
        return UpgradeMessage{.request = request, .program = std::move(program)};
      },
      "upgrade", deadline);
  if (!answer) return std::unexpected(std::move(answer.error()));
  return {};
}

void BrokerClient::NoteRetirement() {
  std::uint64_t request = 0;
  {
    MutexLock lock(mutex_);
    request = std::exchange(upgrade_, 0);
  }
  if (request != 0) Resolve(request, MountedMessage{.request = request, .device = {}});
}

void BrokerClient::Reconnect(BrokerChannel channel) {
  MutexLock lock(mutex_);
  channel_ = std::make_shared<const BrokerChannel>(std::move(channel));
  supervisor_ = 0;  // It will say.
  connected_ = true;
}

void BrokerClient::SetSupervisor(pid_t pid) {
  MutexLock lock(mutex_);
  supervisor_ = pid;
}

std::shared_ptr<const BrokerChannel> BrokerClient::Channel() const {
  MutexLock lock(mutex_);
  return channel_;
}

void BrokerClient::Send(const BrokerMessage& message) {
  if (!connected()) return;
  if (auto sent = Channel()->Send(message); !sent) {
    spdlog::error("worker.broker_send_failed error=\"{}\"", sent.error().what);
  }
}

std::optional<BrokerMessage> BrokerClient::Next() {
  auto message = Channel()->Receive();
  if (!message && message.error().code == Errc::kInvalid) {
    spdlog::error("worker.bad_broker_message error=\"{}\"", message.error().what);
    return std::nullopt;
  }
  std::optional<BrokerMessage> received;
  if (message) received = *std::move(message);
  if (!received) {
    MutexLock lock(mutex_);
    connected_ = false;
    answered_.NotifyAll();
    return std::nullopt;
  }
  if (auto* mounted = std::get_if<MountedMessage>(&*received)) {
    Resolve(mounted->request, std::move(*mounted));
    return std::nullopt;
  }
  if (auto* failed = std::get_if<FailedMessage>(&*received)) {
    Resolve(failed->request, std::unexpected(std::move(failed->error)));
    return std::nullopt;
  }
  return received;
}

void BrokerClient::Resolve(std::uint64_t request, Answer answer) {
  std::uint64_t unwanted = 0;
  {
    MutexLock lock(mutex_);
    const auto waiting = waiting_.find(request);
    if (waiting != waiting_.end()) {
      waiting->second = std::move(answer);
      answered_.NotifyAll();
      return;
    }
    if (answer) unwanted = answer->session;
  }
  // Whoever asked has gone away: nobody would serve this mount.
  if (unwanted != 0) Send(UnmountRequestMessage{unwanted});
}

void BrokerClient::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  answered_.NotifyAll();
}

bool BrokerClient::connected() const {
  MutexLock lock(mutex_);
  return connected_;
}

pid_t BrokerClient::supervisor_pid() const {
  MutexLock lock(mutex_);
  return connected_ ? supervisor_ : 0;
}

}  // namespace modelfs::fs
