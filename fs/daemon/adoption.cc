#include "fs/daemon/adoption.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

namespace modelfs::fs {

std::string AdoptionPath(const std::string& control_socket) {
  return std::filesystem::path(control_socket).replace_extension(".adopt");
}

Result<void> OfferState(const BrokerChannel& channel, const DaemonSpec& daemon, Fd lock,
                        const KeptMounts& mounts) {
  auto sent = channel.Send(StartMessage{.daemon = daemon, .lock = std::move(lock)});
  for (const auto& [id, mount] : mounts) {
    if (sent && MayResume(mount)) sent = SendKept(channel, id, mount, 0);
  }
  if (!sent) return sent;
  return channel.Send(ReadyMessage{});
}

Result<SupervisorState> AdoptWorker(const std::string& control_socket) {
  const std::string path = AdoptionPath(control_socket);
  auto socket = ConnectPackets(path);
  if (!socket) return std::unexpected(socket.error());
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket->get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return FailErrno(errno, path);
  }
  Fd ended(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!ended) return FailErrno(errno, fmt::format("watch worker {}", peer.pid));
  BrokerChannel channel(*std::move(socket));
  std::optional<StartMessage> start;
  auto mounts = ReceiveKept(channel, [&](BrokerMessage& message) {
    auto* offered = std::get_if<StartMessage>(&message);
    if (offered != nullptr) start.emplace(std::move(*offered));
    return offered != nullptr;
  });
  if (!mounts) return Fail(mounts.error().code, fmt::format("{}: {}", path, mounts.error().what));
  if (!start) return Fail(Errc::kIo, fmt::format("{}: it did not say what it is", path));
  const SessionId next = mounts->empty() ? 1 : mounts->rbegin()->first + 1;
  return SupervisorState{
      .daemon = std::move(start->daemon),
      .lock = OwnerLock(std::move(start->lock)),
      .worker =
          WorkerProcess{.pid = peer.pid, .channel = std::move(channel), .ended = std::move(ended)},
      .mounts = *std::move(mounts),
      .next_session = next};
}

}  // namespace modelfs::fs
