#include "fs/http/listen_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <system_error>

namespace modelfs::fs {
namespace {

constexpr int kBacklog = 128;
using AddressList = Handle<addrinfo, freeaddrinfo>;

std::unexpected<Error> Bad(Errc code, const std::string& address, std::string_view what) {
  return Fail(code, fmt::format("http address '{}': {}", address, what));
}

Result<AddressList> Resolve(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return Bad(Errc::kInvalid, address, "no port; write for example 127.0.0.1:9810");
  }
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int rc = ::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found);
  if (rc != 0) return Bad(Errc::kInvalid, address, ::gai_strerror(rc));
  return AddressList(found);
}

std::string Explain(int error_number) {
  switch (error_number) {
    case EADDRINUSE: return "another process listens there; choose another port with --http";
    case EADDRNOTAVAIL: return "this machine has no such address";
    case EACCES: return "not allowed; ports below 1024 are for root";
    default: return std::generic_category().message(error_number);
  }
}

std::string Numeric(const sockaddr* address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getnameinfo(address, length, host.data(), host.size(), port.data(), port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  return address->sa_family == AF_INET6 ? fmt::format("[{}]:{}", host.data(), port.data())
                                        : fmt::format("{}:{}", host.data(), port.data());
}

bool IsLoopback(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
}

}  // namespace

Result<TcpListener> ListenAt(const std::string& address) {
  auto list = Resolve(address);
  if (!list) return std::unexpected(list.error());
  // All addresses at once is one socket: the one for IPv6, which takes IPv4 too.
  const addrinfo* wanted = list->get();
  for (const addrinfo* one = wanted; address.starts_with(':') && one != nullptr;
       one = one->ai_next) {
    if (one->ai_family == AF_INET6) wanted = one;
  }
  Fd socket(::socket(wanted->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket && wanted != list->get()) {  // A kernel without IPv6.
    wanted = list->get();
    socket.Reset(::socket(wanted->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  if (!socket) return Bad(Errc::kIo, address, Explain(errno));
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(socket.get(), wanted->ai_addr, wanted->ai_addrlen) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    const int error_number = errno;
    return Bad(error_number == EACCES ? Errc::kDenied : Errc::kIo, address, Explain(error_number));
  }
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  auto* const generic = reinterpret_cast<sockaddr*>(&bound);
  if (::getsockname(socket.get(), generic, &length) != 0) {
    return Bad(Errc::kIo, address, Explain(errno));
  }
  return TcpListener{.socket = std::move(socket),
                     .address = Numeric(generic, length),
                     .loopback = IsLoopback(generic)};
}

}  // namespace modelfs::fs
