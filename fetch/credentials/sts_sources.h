#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fetch/base/timer.h"
#include "fetch/credentials/credential_settings.h"
#include "fetch/credentials/credential_source.h"
#include "fetch/http/proxy.h"
#include "fetch/http/transport.h"
#include "fetch/s3/sigv4.h"

namespace modelfs::fetch {

/// Asks the Security Token Service. Threads: any; completions run on the transport's threads.
/// Transport and timer are borrowed.
class StsClient {
 public:
  struct Options {
    std::string endpoint;  ///< Empty: AWS's own of `region`.
    std::string region;    ///< Empty: us-east-1.
    std::string ca_bundle;
    ProxySettings proxy;
    HttpTransport* transport = nullptr;
    Timer* timer = nullptr;
    std::function<std::chrono::system_clock::time_point()> wall_clock;
  };
  explicit StsClient(Options options);

  /// Calls `done` with the keys that `action` gives. `keys`: to sign with; nullopt: unsigned.
  /// Errors: kTransient, kDenied (with STS's words), kCorrupt, kInvalid, kCancelled.
  void Call(const std::string& action, NameValues parameters,
            const std::optional<Credentials>& keys, std::stop_token stop,
            Done<TemporaryKeys> done) const;
  const std::string& url() const { return url_; }

 private:
  const Options options_;
  std::string url_;
  std::string host_;
};

/// AssumeRoleWithWebIdentity: a token that somebody keeps fresh in a file, read for each request,
/// is changed for keys.
/// Source: docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
class WebIdentitySource final : public CredentialSource {
 public:
  WebIdentitySource(CredentialSettings settings, StsClient::Options sts)
      : settings_(std::move(settings)), sts_(std::move(sts)) {}
  std::string Describe() const override;
  void Fetch(std::stop_token stop, Done<TemporaryKeys> done) override;

 private:
  const CredentialSettings settings_;
  const StsClient sts_;
};

/// AssumeRole with the keys of another provider.
class AssumeRoleSource final : public CredentialSource,
                               public std::enable_shared_from_this<AssumeRoleSource> {
 public:
  AssumeRoleSource(CredentialSettings settings, StsClient::Options sts,
                   std::shared_ptr<CredentialsProvider> base)
      : settings_(std::move(settings)), sts_(std::move(sts)), base_(std::move(base)) {}
  std::string Describe() const override;
  void Fetch(std::stop_token stop, Done<TemporaryKeys> done) override;

 private:
  void Ask(const std::optional<Credentials>& rejected, std::stop_token stop,
           Done<TemporaryKeys> done);

  const CredentialSettings settings_;
  const StsClient sts_;
  const std::shared_ptr<CredentialsProvider> base_;
};

}  // namespace modelfs::fetch
