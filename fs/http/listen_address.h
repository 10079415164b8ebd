#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fs {

/// A listening TCP socket.
struct TcpListener {
  Fd socket;
  std::string address;    ///< As the kernel has it: "127.0.0.1:9810", with the port that it chose.
  bool loopback = false;  ///< Only this machine reaches it.
};

/// Listens at "HOST:PORT": a number or a name, "[::1]:9810", ":9810" for all addresses; port 0 is a
/// free one.
/// Errors: kInvalid (no such address here), kDenied, kIo (in use); the text says what to do.
Result<TcpListener> ListenAt(const std::string& address);

}  // namespace modelfs::fs
