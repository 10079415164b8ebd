#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"

namespace modelfs::test {

/// One connection of a SocketServer, on its own thread. Every wait ends when the server does.
class Peer {
 public:
  Peer(int fd, int ended) : fd_(fd), ended_(ended) {}

  /// The head (with body, if Content-Length names one) of the next request; "" at the end.
  std::string NextRequest() {
    while (true) {
      const std::size_t end = buffer_.find("\r\n\r\n");
      if (end != std::string::npos) {
        std::size_t size = end + 4;
        if (const std::size_t at = buffer_.find("Content-Length: "); at < end) {
          size += std::stoul(buffer_.substr(at + 16));
        }
        if (buffer_.size() >= size) {
          std::string request = buffer_.substr(0, size);
          buffer_.erase(0, size);
          return request;
        }
      }
      if (!Fill()) return {};
    }
  }
  void Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// Blocks until the client closes or the server ends.
  void WaitForClose() {
    while (Fill()) {
    }
  }
  /// The client gets a reset instead of an orderly end.
  void ResetOnClose() {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }

 private:
  bool Fill() {
    pollfd fds[2] = {{fd_, POLLIN, 0}, {ended_, POLLIN, 0}};
    if (::poll(fds, 2, -1) <= 0 || fds[1].revents != 0) return false;
    char piece[4096];
    const ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
    if (got <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(got));
    return true;
  }

  const int fd_;
  const int ended_;
  std::string buffer_;
};

/// A server on a free port of loopback that says what its script tells it, byte by byte.
class SocketServer {
 public:
  /// `serve` gets each connection, with its number from 0, on a thread of its own.
  explicit SocketServer(std::function<void(Peer&, int)> serve)
      : serve_(std::move(serve)), ended_(::eventfd(0, EFD_CLOEXEC)) {
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_.get(), 128) != 0 ||
        ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this] { Accept(); });
  }
  ~SocketServer() {
    const std::uint64_t one = 1;
    if (::write(ended_.get(), &one, sizeof one) != sizeof one) std::abort();
    acceptor_.join();  // Then its connections' threads, as members.
  }

  std::string Url(std::string_view path = "/") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string(path);
  }
  int connections() const { return connections_.load(); }

 private:
  void Accept() {
    std::vector<std::jthread> threads;
    while (true) {
      pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {ended_.get(), POLLIN, 0}};
      if (::poll(fds, 2, -1) <= 0 || fds[1].revents != 0) return;
      Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      threads.emplace_back([this, connection = std::move(fd), number = connections_.fetch_add(1)] {
        Peer peer(connection.get(), ended_.get());
        serve_(peer, number);
      });
    }
  }

  const std::function<void(Peer&, int)> serve_;
  const Fd ended_;
  Fd listener_;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::jthread acceptor_;
};

}  // namespace modelfs::test
