#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "tests/support/origin/fault.h"
#include "tests/support/origin/link.h"
#include "tests/support/origin/object_store.h"
#include "tests/support/origin/request_log.h"

namespace modelfs::test {

/// An S3-compatible server in this process: a subset of the API over a directory, behind a link of
/// settable latency and bandwidth, with a request log and scripted faults. The program
/// modelfs-origin is this class with flags. tests/support/README.md describes its HTTP side.
///
/// Threads: all methods may be called from any thread. One server thread per connection.
class EmbeddedOrigin {
 public:
  struct Options {
    std::filesystem::path root = {};    ///< Its folders are buckets. Empty: in memory alone.
    std::string address = "127.0.0.1";  ///< To listen on.
    std::uint16_t port = 0;             ///< 0: a free one.
    std::string access_key = {};        ///< Empty: anonymous requests are served.
    std::string secret_key = {};
    std::string session_token = {};
    std::string region = "us-east-1";
    std::string certificate_pem = {};  ///< With the key: https.
    std::string private_key_pem = {};
    std::string virtual_domain = {};  ///< Serve bucket.DOMAIN too.
    bool plus_for_space = true;       ///< In listings with encoding-type=url, as AWS does.
    std::size_t page_items = 1000;    ///< Most items of a listing page.
    LinkOptions link = {};
  };

  /// Listens when it returns.
  /// Errors: kInvalid (options), kIo (cannot listen).
  static Result<std::unique_ptr<EmbeddedOrigin>> Start(Options options);

  /// Breaks what is in flight and stops.
  ~EmbeddedOrigin();

  std::uint16_t port() const;
  /// "http://127.0.0.1:PORT", without a slash at the end.
  std::string Url() const;

  /// To put, read and remove objects without requests.
  ObjectStore& objects();

  /// Answers that began unshaped end unshaped.
  void SetLink(const LinkOptions& options);
  void SetFaults(std::vector<FaultRule> rules);
  /// Lets stalled answers go on.
  void Release();
  /// Waits until `count` answers stall; false when that took longer than `limit`.
  bool WaitForStalled(std::size_t count, std::chrono::milliseconds limit);

  std::vector<LogEntry> Log() const;
  OriginStats Stats() const;
  void ResetLog();

 private:
  class Server;
  explicit EmbeddedOrigin(std::unique_ptr<Server> server);

  std::unique_ptr<Server> server_;
};

}  // namespace modelfs::test
