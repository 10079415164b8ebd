#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/http/http_route.h"

namespace modelfs::fs {

/// Serves a table of routes over TCP: the admin server of --http. README.md has what it serves.
///
/// Threads: two `http` threads of its own call the routes. Start and the destructor belong to one
/// owner thread; the destructor waits for calls in progress.
class HttpServer {
 public:
  struct Options {
    std::string address;     ///< As ListenAt.
    std::string token_file;  ///< Read at each call that needs it; empty: nobody has the token.
    std::vector<HttpRoute> routes;
    std::size_t max_body_bytes = 1u << 20;
  };

  /// Listens when it returns.
  /// Errors: those of ListenAt; of ReadToken where the token will be needed.
  static Result<std::unique_ptr<HttpServer>> Start(Options options);
  virtual ~HttpServer() = default;

  /// "127.0.0.1:9810".
  virtual const std::string& address() const = 0;
};

}  // namespace modelfs::fs
