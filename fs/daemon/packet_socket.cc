#include "fs/daemon/packet_socket.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "fs/control/control_server.h"

namespace modelfs::fs {
namespace {

constexpr int kBacklog = 8;
constexpr timeval kReceiveLimit{.tv_sec = 5, .tv_usec = 0};

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Fail(Errc::kInvalid, fmt::format("'{}' cannot be the path of a socket: it has {} "
                                            "characters, and 1 to {} are possible",
                                            path, path.size(), sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<Fd> MakeSocket() {
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return FailErrno(errno, "socket");
  return socket;
}

}  // namespace

Result<Fd> ListenForPackets(const std::string& path) {
  const auto address = AddressOf(path);
  if (!address) return std::unexpected(address.error());
  auto socket = MakeSocket();
  if (!socket) return socket;
  if (ConnectPackets(path)) {
    return Fail(Errc::kInvalid, fmt::format("somebody listens on {} already", path));
  }
  struct stat info;
  if (::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) ::unlink(path.c_str());
  // The file gets the socket's own mode; umask(2) would be the whole process's.
  ::fchmod(socket->get(), 0600);
  if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return FailErrno(errno, fmt::format("bind {}", path));
  }
  if (::listen(socket->get(), kBacklog) != 0)
    return FailErrno(errno, fmt::format("listen {}", path));
  return socket;
}

std::optional<Peer> AcceptPackets(const Fd& listener) {
  Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!socket) return std::nullopt;
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return std::nullopt;
  if (!MayControl(peer.uid, ::geteuid())) {
    spdlog::warn("control.peer_refused uid={}", peer.uid);
    return std::nullopt;
  }
  return Peer{.socket = std::move(socket), .pid = peer.pid};
}

Result<Fd> ConnectPackets(const std::string& path) {
  const auto address = AddressOf(path);
  if (!address) return std::unexpected(address.error());
  auto socket = MakeSocket();
  if (!socket) return socket;
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &kReceiveLimit, sizeof kReceiveLimit);
  if (::connect(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) ==
      0) {
    return socket;
  }
  if (errno == ECONNREFUSED || errno == ENOENT) {
    return Fail(Errc::kNotFound, fmt::format("nobody listens on {}", path));
  }
  return FailErrno(errno, fmt::format("connect to {}", path));
}

Result<KeptMounts> ReceiveKept(const BrokerChannel& channel,
                               const std::function<bool(BrokerMessage&)>& other) {
  KeptMountReader reader;
  for (;;) {
    auto message = channel.Receive();
    if (!message) return std::unexpected(message.error());
    std::optional<BrokerMessage>& next = *message;
    if (!next) return Fail(Errc::kIo, "it ended the conversation");
    BrokerMessage& received = *next;
    if (reader.Take(received)) continue;
    if (std::holds_alternative<ReadyMessage>(received)) return std::move(reader.mounts());
    if (!other(received)) return Fail(Errc::kIo, "it said something unexpected");
  }
}

}  // namespace modelfs::fs
