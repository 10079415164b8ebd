#pragma once

#include <microhttpd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fetch/base/handle.h"
#include "tests/support/embedded_origin.h"
#include "tests/support/origin/control_service.h"
#include "tests/support/origin/s3_service.h"
#include "tests/support/origin/sigv4_verifier.h"

namespace modelfs::test {

/// The embedded origin's parts and the libmicrohttpd daemon in front of them, one thread per
/// connection: a thread that waits for the link blocks nobody else.
class OriginServer {
 public:
  explicit OriginServer(EmbeddedOrigin::Options options);
  /// Breaks what is in flight, then joins all threads.
  ~OriginServer();
  OriginServer(const OriginServer&) = delete;
  OriginServer& operator=(const OriginServer&) = delete;

  /// Errors: kInvalid (address), kIo (cannot listen).
  Result<void> Start();

  std::uint16_t port() const { return port_; }
  std::string Url() const;
  ObjectStore& store() { return store_; }
  Link& link() { return link_; }
  FaultScript& faults() { return faults_; }
  RequestLog& log() { return log_; }

 private:
  struct Connection;
  class Exchange;

  static MHD_Result OnRequest(void* cls, MHD_Connection* connection, const char* url,
                              const char* method, const char* version, const char* data,
                              std::size_t* data_size, void** context) noexcept;
  static void* OnUri(void* cls, const char* uri, MHD_Connection* connection) noexcept;
  static void OnCompleted(void* cls, MHD_Connection* connection, void** context,
                          MHD_RequestTerminationCode code) noexcept;
  static void OnConnection(void* cls, MHD_Connection* connection, void** context,
                           MHD_ConnectionNotificationCode code) noexcept;
  static std::size_t OnUnescape(void* cls, MHD_Connection* connection, char* text) noexcept;

  const EmbeddedOrigin::Options options_;
  ObjectStore store_;
  Link link_;
  FaultScript faults_;
  RequestLog log_;
  std::optional<SigV4Verifier> verifier_;
  S3Service s3_;
  ControlService control_;
  std::atomic<std::uint64_t> last_connection_{0};
  std::uint16_t port_ = 0;
  Handle<MHD_Daemon, MHD_stop_daemon> daemon_;  ///< Last: its threads use all the rest.
};

}  // namespace modelfs::test
