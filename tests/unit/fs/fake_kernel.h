#pragma once

#include <linux/fuse.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/handle.h"

namespace modelfs::test {

/// The kernel's side of a /dev/fuse descriptor, on a socket pair that keeps message borders.
/// Threads: one.
class FakeKernel {
 public:
  struct Answer {
    std::uint64_t unique = 0;
    int error = 0;
    std::vector<std::byte> body;
  };

  FakeKernel() {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) std::abort();
    kernel_.Reset(pair[0]);
    device_.Reset(pair[1]);
    const int bytes = 4 << 20;
    setsockopt(device_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  }

  Fd TakeDevice() { return std::move(device_); }
  void CloseKernel() { kernel_.Reset(); }

  /// Sends one request and returns its number.
  std::uint64_t Send(std::uint32_t opcode, std::uint64_t node, const void* argument = nullptr,
                     std::size_t size = 0, std::uint64_t unique = 0) {
    const std::uint64_t number = unique != 0 ? unique : next_ += 2;
    fuse_in_header header{};
    header.len = static_cast<std::uint32_t>(sizeof header + size);
    header.opcode = opcode;
    header.unique = number;
    header.nodeid = node;
    std::vector<std::byte> message(header.len);
    std::memcpy(message.data(), &header, sizeof header);
    if (size > 0) std::memcpy(message.data() + sizeof header, argument, size);
    if (write(kernel_.get(), message.data(), message.size()) < 0) std::abort();
    return number;
  }
  static std::vector<std::byte> InitMessage() {
    FakeKernel scratch;
    fuse_init_in init{};
    init.major = 7;
    init.minor = 38;
    init.max_readahead = 1 << 17;
    init.flags = FUSE_ASYNC_READ | FUSE_DO_READDIRPLUS | FUSE_MAX_PAGES | FUSE_BIG_WRITES;
    scratch.Send(FUSE_INIT, 0, &init, sizeof init, 2);
    std::vector<std::byte> message(4096);
    const ssize_t got = read(scratch.device_.get(), message.data(), message.size());
    message.resize(static_cast<std::size_t>(got));
    return message;
  }
  void SendRaw(const std::vector<std::byte>& message) {
    if (write(kernel_.get(), message.data(), message.size()) < 0) std::abort();
  }
  std::uint64_t SendLookup(std::uint64_t parent, std::string_view name) {
    return Send(FUSE_LOOKUP, parent, std::string(name).c_str(), name.size() + 1);
  }
  std::uint64_t SendRead(std::uint64_t node, std::uint64_t offset, std::uint32_t size) {
    fuse_read_in in{};
    in.offset = offset;
    in.size = size;
    return Send(FUSE_READ, node, &in, sizeof in);
  }
  void SendInterrupt(std::uint64_t unique) {
    fuse_interrupt_in in{.unique = unique};
    Send(FUSE_INTERRUPT, 0, &in, sizeof in, unique | 1);
  }

  /// The next message from the filesystem; nullopt after `limit`.
  std::optional<Answer> Receive(int limit_ms = 10'000) {
    pollfd wait{.fd = kernel_.get(), .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, limit_ms) <= 0) return std::nullopt;
    std::vector<std::byte> message(4 << 20);
    const ssize_t got = read(kernel_.get(), message.data(), message.size());
    fuse_out_header header{};
    if (got < static_cast<ssize_t>(sizeof header)) return std::nullopt;
    std::memcpy(&header, message.data(), sizeof header);
    return Answer{
        header.unique, header.error, {message.begin() + sizeof header, message.begin() + got}};
  }

 private:
  Fd kernel_;
  Fd device_;
  std::uint64_t next_ = 100;
};

template <class T>
T As(const std::vector<std::byte>& body) {
  T value{};
  std::memcpy(&value, body.data(), std::min(sizeof value, body.size()));
  return value;
}

}  // namespace modelfs::test
