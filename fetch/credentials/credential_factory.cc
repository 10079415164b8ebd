#include "fetch/credentials/credential_factory.h"

#include <fmt/format.h>

#include "fetch/base/percent.h"
#include "fetch/base/small_file.h"
#include "fetch/base/text.h"
#include "fetch/credentials/local_sources.h"
#include "fetch/credentials/metadata_sources.h"
#include "fetch/credentials/refreshing_credentials.h"
#include "fetch/credentials/sts_sources.h"
#include "fetch/credentials/token_subject.h"

namespace modelfs::fetch {
namespace {

using Kind = CredentialSettings::Kind;
using Provider = std::shared_ptr<CredentialsProvider>;

constexpr int kMaxRoles = 5;  // Each assumed with the keys of the one before.

std::chrono::system_clock::time_point WallClock() { return std::chrono::system_clock::now(); }

/// Two providers that end together.
class ChainedCredentials final : public CredentialsProvider {
 public:
  ChainedCredentials(Provider outer, Provider base)
      : outer_(std::move(outer)), base_(std::move(base)) {}
  void Get(const std::optional<Credentials>& rejected,
           Done<std::optional<Credentials>> done) override {
    outer_->Get(rejected, std::move(done));
  }
  std::string Principal() const override { return outer_->Principal(); }
  bool CanRefresh() const override { return outer_->CanRefresh(); }
  void Stop() override {
    outer_->Stop();
    base_->Stop();
  }

 private:
  const Provider outer_;
  const Provider base_;
};

// Who keys of this kind belong to, whatever they are at the moment.
std::string PrincipalOf(const CredentialSettings& settings) {
  switch (settings.kind) {
    case Kind::kKeys: return settings.access_key_id;
    case Kind::kProfile:
      // Long-lived keys have always been their own principal.
      if (settings.session_token.empty()) return settings.access_key_id;
      return fmt::format("profile:{}", settings.where);
    case Kind::kProcess: return fmt::format("process:{}", settings.where);
    case Kind::kWebIdentity:
    case Kind::kAssumeRole: return settings.role_arn;
    case Kind::kContainer: {
      // All pods of EKS ask at the same place; the token tells which of them this is.
      const auto token = settings.token_file.empty() ? Result<std::string>(settings.token)
                                                     : ReadSmallFile(settings.token_file);
      const std::string subject = token ? TokenSubject(Trim(*token)) : "";
      if (!subject.empty()) return fmt::format("container:{}", subject);
      // Below ECS the URI is another one in each task.
      return settings.uri.starts_with("http://169.254.170.2/")
                 ? "container:ecs"
                 : fmt::format("container:{}", settings.uri.substr(0, settings.uri.find('?')));
    }
    case Kind::kInstance: return "instance:ec2";
  }
  return "";
}

std::unexpected<Error> Missing(const char* what) {
  return Fail(Errc::kInvalid, fmt::format("credentials: {} is missing", what));
}

class Maker {
 public:
  Maker(FetchContext& context, const std::string& ca_bundle, const ProxySettings& proxy)
      : context_(context), ca_bundle_(ca_bundle), proxy_(proxy) {}

  Result<Provider> Make(const CredentialSettings& settings, int depth) {
    switch (settings.kind) {
      case Kind::kKeys: return Keys(settings);
      case Kind::kProfile:
        return Refreshing(settings,
                          std::make_shared<ProfileSource>(settings, &context_.credential_pool()));
      case Kind::kProcess:
        if (settings.command.empty()) return Missing("the command");
        return Refreshing(settings,
                          std::make_shared<ProcessSource>(settings, &context_.credential_pool()));
      case Kind::kWebIdentity:
        if (settings.role_arn.empty()) return Missing("role_arn");
        if (settings.token_file.empty()) return Missing("the token's file");
        return Refreshing(settings, std::make_shared<WebIdentitySource>(settings, Sts(settings)));
      case Kind::kAssumeRole: return Role(settings, depth);
      case Kind::kContainer:
        if (auto good = CheckContainerUri(settings.uri); !good) {
          return std::unexpected(std::move(good.error()));
        }
        return Refreshing(settings, std::make_shared<ContainerSource>(
                                        settings, &context_.transport(), &context_.timer()));
      case Kind::kInstance:
        return Refreshing(settings, std::make_shared<InstanceSource>(
                                        settings, &context_.transport(), &context_.timer()));
    }
    return Missing("the kind");
  }

 private:
  Result<Provider> Keys(const CredentialSettings& settings) {
    if (settings.access_key_id.empty()) {
      return Fail(Errc::kDenied,
                  "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a "
                  "profile, or ask for anonymous access");
    }
    if (settings.secret_access_key.empty()) {
      return Fail(Errc::kDenied,
                  fmt::format("access key id '{}' has no secret key: set AWS_SECRET_ACCESS_KEY",
                              Printable(settings.access_key_id)));
    }
    return std::make_shared<StaticCredentials>(
        Credentials{.access_key_id = settings.access_key_id,
                    .secret_access_key = settings.secret_access_key,
                    .session_token = settings.session_token});
  }

  Result<Provider> Role(const CredentialSettings& settings, int depth) {
    if (settings.role_arn.empty()) return Missing("role_arn");
    if (!settings.source) return Missing("the source of a role's keys");
    if (depth >= kMaxRoles) {
      return Fail(Errc::kInvalid,
                  fmt::format("credentials: more than {} roles, one by the other", kMaxRoles));
    }
    auto base = Make(*settings.source, depth + 1);
    if (!base) return base;
    auto outer =
        Refreshing(settings, std::make_shared<AssumeRoleSource>(settings, Sts(settings), *base));
    if (!outer) return outer;
    return std::make_shared<ChainedCredentials>(*std::move(outer), *std::move(base));
  }

  Result<Provider> Refreshing(const CredentialSettings& settings,
                              std::shared_ptr<CredentialSource> source) {
    return std::make_shared<RefreshingCredentials>(
        RefreshingCredentials::Options{.source = std::move(source),
                                       .principal = PrincipalOf(settings),
                                       .keep_expired = settings.kind == Kind::kInstance,
                                       .wall_clock = WallClock});
  }

  StsClient::Options Sts(const CredentialSettings& settings) {
    return {.endpoint = settings.sts_endpoint,
            .region = settings.region,
            .ca_bundle = ca_bundle_,
            .proxy = proxy_,
            .transport = &context_.transport(),
            .timer = &context_.timer(),
            .wall_clock = WallClock};
  }

  FetchContext& context_;
  const std::string& ca_bundle_;
  const ProxySettings& proxy_;
};

}  // namespace

Result<std::shared_ptr<CredentialsProvider>> MakeCredentials(FetchContext& context,
                                                             const CredentialSettings& settings,
                                                             const std::string& ca_bundle,
                                                             const ProxySettings& proxy) {
  return Maker(context, ca_bundle, proxy).Make(settings, 1);
}

}  // namespace modelfs::fetch
