#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "fs/daemon/broker_protocol.h"

namespace modelfs::fs {
namespace {

constexpr int kSendTimeoutMs = 5000;
constexpr std::size_t kMaxDescriptors = 4;  // One is meant; room to see and close what is too many.

int DescriptorOf(const BrokerMessage& message) {
  if (const auto* start = std::get_if<StartMessage>(&message)) return start->lock.get();
  if (const auto* mounted = std::get_if<MountedMessage>(&message)) return mounted->device.get();
  if (const auto* nodes = std::get_if<NodesMessage>(&message)) return nodes->log.get();
  if (const auto* requests = std::get_if<RequestsMessage>(&message)) return requests->record.get();
  if (const auto* upgrade = std::get_if<UpgradeMessage>(&message)) return upgrade->program.get();
  if (const auto* resume = std::get_if<ResumeMountMessage>(&message)) return resume->device.get();
  return -1;
}

/// The first descriptor that came with `message`; the others are closed.
Fd TakeDescriptors(msghdr& message) {
  Fd first;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      Fd owned(fd);
      if (!first) first = std::move(owned);
    }
  }
  return first;
}

}  // namespace

BrokerChannel::BrokerChannel(Fd socket) : socket_(std::move(socket)) {}

Result<BrokerChannel::Pair> BrokerChannel::MakePair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return FailErrno(errno, "socketpair");
  }
  return Pair{.supervisor = BrokerChannel(Fd(ends[0])), .worker = BrokerChannel(Fd(ends[1]))};
}

Result<void> BrokerChannel::Send(const BrokerMessage& message) const {
  std::string text = EncodeBrokerMessage(message);
  if (text.size() > kMaxBrokerMessageBytes) {
    return Fail(Errc::kInvalid, fmt::format("broker message {}: {} bytes are too many",
                                            BrokerTypeName(message), text.size()));
  }
  iovec data{.iov_base = text.data(), .iov_len = text.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (const int fd = DescriptorOf(message); fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  for (;;) {
    if (::sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return {};
    const int error_number = errno;
    if (error_number == EINTR) continue;
    if (error_number != EAGAIN) {
      return FailErrno(error_number, fmt::format("send {}", BrokerTypeName(message)));
    }
    pollfd wait{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&wait, 1, kSendTimeoutMs) == 0) {
      return Fail(Errc::kTransient,
                  fmt::format("send {}: the other process does not read", BrokerTypeName(message)));
    }
  }
}

Result<std::optional<BrokerMessage>> BrokerChannel::Receive() const {
  // One more byte than a message may have shows that it is too large.
  std::string text(kMaxBrokerMessageBytes + 1, '\0');
  iovec data{.iov_base = text.data(), .iov_len = text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t n = 0;
  bool reset = false;
  for (;;) {
    n = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
    if (n >= 0) break;
    if (errno == EINTR) continue;
    // Told once, and before what is still queued, when the other end closed without reading all.
    if (errno != ECONNRESET || std::exchange(reset, true)) {
      return FailErrno(errno, "receive from the broker socket");
    }
  }
  Fd descriptor = TakeDescriptors(header);
  if (n == 0) return std::optional<BrokerMessage>();
  if ((header.msg_flags & MSG_TRUNC) != 0 || static_cast<std::size_t>(n) > kMaxBrokerMessageBytes) {
    return Fail(Errc::kInvalid, "broker message: too large");
  }
  text.resize(static_cast<std::size_t>(n));
  auto message = DecodeBrokerMessage(text, std::move(descriptor));
  if (!message) return std::unexpected(message.error());
  return std::optional<BrokerMessage>(*std::move(message));
}

}  // namespace modelfs::fs
