#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "fetch/base/error.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace modelfs::test {

/// A real web server over a folder, in a process of its own, on a free port of loopback; it ends
/// with this object. Answers when a Start returns.
class WebServer {
 public:
  struct NginxOptions {
    std::filesystem::path root;
    bool json = false;      ///< Listings as JSON and not as HTML.
    bool listings = true;   ///< Else directories are refused.
    std::string user = {};  ///< Not empty: asks everybody for this name and password.
    std::string password = {};
  };
  /// nginx, found by $NGINX, in deps.sh's tools folder, or on PATH.
  /// Errors: kNotFound (not installed), kTimeout, kIo.
  static Result<std::unique_ptr<WebServer>> StartNginx(const NginxOptions& options);
  /// Python's http.server, which knows neither ranges nor ETags. Same errors.
  static Result<std::unique_ptr<WebServer>> StartPython(const std::filesystem::path& root);

  std::string Url() const;
  std::string Output() const { return process_->Output(); }

 private:
  WebServer() = default;

  TempDir data_;
  std::uint16_t port_ = 0;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace modelfs::test
