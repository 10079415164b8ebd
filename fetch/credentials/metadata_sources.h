#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "fetch/base/timer.h"
#include "fetch/credentials/credential_settings.h"
#include "fetch/credentials/credential_source.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// Asks the endpoint that ECS, or the agent of EKS Pod Identity, offers to a container. The token's
/// file is read for each request. Never through a proxy.
///
/// Threads, lifetime: completions run on the transport's threads; transport and timer are borrowed.
/// Source: docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
class ContainerSource final : public CredentialSource {
 public:
  ContainerSource(CredentialSettings settings, HttpTransport* transport, Timer* timer)
      : settings_(std::move(settings)), transport_(transport), timer_(timer) {}
  std::string Describe() const override;
  void Fetch(std::stop_token stop, Done<TemporaryKeys> done) override;

 private:
  const CredentialSettings settings_;
  HttpTransport* const transport_;
  Timer* const timer_;
};

/// Whether keys may be asked for at `uri`: https, or http to this machine or to the addresses that
/// ECS and EKS use.
/// Errors: kInvalid.
Result<void> CheckContainerUri(const std::string& uri);

/// Asks the instance metadata service of EC2: a session token, the role's name, its keys. Goes on
/// without the token where the service knows only version 1 and the settings allow it.
///
/// Threads, lifetime: as ContainerSource.
/// Source: docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
class InstanceSource final : public CredentialSource,
                             public std::enable_shared_from_this<InstanceSource> {
 public:
  InstanceSource(CredentialSettings settings, HttpTransport* transport, Timer* timer)
      : settings_(std::move(settings)), transport_(transport), timer_(timer) {}
  std::string Describe() const override;
  void Fetch(std::stop_token stop, Done<TemporaryKeys> done) override;

 private:
  struct Session;
  using SessionPtr = std::shared_ptr<Session>;

  void Send(const SessionPtr& session, const char* method, const std::string& path,
            Done<HttpResponse> done);
  void OnToken(const SessionPtr& session, Result<HttpResponse> outcome);
  void AskRole(const SessionPtr& session);
  void AskKeys(const SessionPtr& session, const std::string& role);
  void Finish(const SessionPtr& session, Result<TemporaryKeys> result);

  const CredentialSettings settings_;
  HttpTransport* const transport_;
  Timer* const timer_;
  std::atomic<bool> seen_{false};  // It has answered: being down is a moment's matter.
};

}  // namespace modelfs::fetch
