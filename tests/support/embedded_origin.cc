#include "tests/support/embedded_origin.h"

#include <utility>

#include "tests/support/origin/server.h"

namespace modelfs::test {

/// Gives the server a name of this class's own.
class EmbeddedOrigin::Server : public OriginServer {
 public:
  using OriginServer::OriginServer;
};

EmbeddedOrigin::EmbeddedOrigin(std::unique_ptr<Server> server) : server_(std::move(server)) {}
EmbeddedOrigin::~EmbeddedOrigin() = default;

Result<std::unique_ptr<EmbeddedOrigin>> EmbeddedOrigin::Start(Options options) {
  std::error_code ignored;
  if (!options.root.empty() && !std::filesystem::is_directory(options.root, ignored)) {
    return Fail(Errc::kInvalid, options.root.string() + " is no directory");
  }
  if (options.access_key.empty() != options.secret_key.empty()) {
    return Fail(Errc::kInvalid, "access key and secret key go together");
  }
  if (options.certificate_pem.empty() != options.private_key_pem.empty()) {
    return Fail(Errc::kInvalid, "certificate and private key go together");
  }
  auto server = std::make_unique<Server>(std::move(options));
  if (auto started = server->Start(); !started) return std::unexpected(started.error());
  return std::unique_ptr<EmbeddedOrigin>(new EmbeddedOrigin(std::move(server)));
}

std::uint16_t EmbeddedOrigin::port() const { return server_->port(); }
std::string EmbeddedOrigin::Url() const { return server_->Url(); }
ObjectStore& EmbeddedOrigin::objects() { return server_->store(); }
void EmbeddedOrigin::SetLink(const LinkOptions& options) { server_->link().Set(options); }
void EmbeddedOrigin::SetFaults(std::vector<FaultRule> rules) {
  server_->faults().Set(std::move(rules));
}
void EmbeddedOrigin::Release() { server_->link().Release(); }
bool EmbeddedOrigin::WaitForStalled(std::size_t count, std::chrono::milliseconds limit) {
  return server_->link().WaitForStalled(count, limit);
}
std::vector<LogEntry> EmbeddedOrigin::Log() const { return server_->log().Entries(); }
OriginStats EmbeddedOrigin::Stats() const { return server_->log().Stats(); }
void EmbeddedOrigin::ResetLog() { server_->log().Reset(); }

}  // namespace modelfs::test
