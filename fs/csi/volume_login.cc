#include "fs/csi/volume_login.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"
#include "fetch/base/time_text.h"

namespace modelfs::fs {
namespace {

constexpr const char* kTokens = "csi.storage.k8s.io/serviceAccount.tokens";
constexpr const char* kNamespace = "csi.storage.k8s.io/pod.namespace";
constexpr const char* kServiceAccount = "csi.storage.k8s.io/serviceAccount.name";

/// Keys of a secret: ours, and the variable of the same meaning, so that a secret that is made for
/// containers will do.
struct SecretKey {
  std::string VolumeLogin::* field;
  std::array<const char*, 2> names;
};
const std::array<SecretKey, 7> kSecrets{{
    {&VolumeLogin::access_key_id, {"access_key_id", "AWS_ACCESS_KEY_ID"}},
    {&VolumeLogin::secret_access_key, {"secret_access_key", "AWS_SECRET_ACCESS_KEY"}},
    {&VolumeLogin::session_token, {"session_token", "AWS_SESSION_TOKEN"}},
    {&VolumeLogin::user, {"username", "MLFLOW_TRACKING_USERNAME"}},
    {&VolumeLogin::password, {"password", "MLFLOW_TRACKING_PASSWORD"}},
    {&VolumeLogin::token, {"token", "MLFLOW_TRACKING_TOKEN"}},
    {&VolumeLogin::ca_cert, {"ca.crt", "ca.crt"}},
}};

std::string At(const StringMap& map, const char* name) {
  const auto found = map.find(name);
  return found == map.end() ? "" : found->second;
}

std::unexpected<CsiError> Bad(std::string what) {
  return CsiFail(CsiCode::kInvalidArgument, std::move(what));
}

CsiResult<void> ReadSecrets(const StringMap& secrets, VolumeLogin& login) {
  for (const SecretKey& key : kSecrets) {
    for (const char* name : key.names) {
      if (const std::string value = At(secrets, name); !value.empty()) login.*key.field = value;
    }
    std::string& value = login.*key.field;
    while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
    const bool many =
        std::ranges::any_of(value, [](unsigned char c) { return c < ' ' || c == 0x7f; });
    if (many && key.field != &VolumeLogin::ca_cert) {
      return Bad(fmt::format("secret key '{}': is not one line", key.names[0]));
    }
  }
  const auto both = [&](const std::string& a, const std::string& b, const char* missing) {
    return a.empty() || !b.empty() ? CsiResult<void>()
                                   : Bad(fmt::format("secret key '{}': is missing", missing));
  };
  if (auto ok = both(login.access_key_id, login.secret_access_key, "secret_access_key"); !ok) {
    return ok;
  }
  if (auto ok = both(login.secret_access_key, login.access_key_id, "access_key_id"); !ok) return ok;
  if (auto ok = both(login.user, login.password, "password"); !ok) return ok;
  return both(login.password, login.user, "username");
}

/// The token for the audience, out of `{"audience": {"token": …, "expirationTimestamp": …}}`.
CsiResult<std::string> PickToken(const std::string& text, const std::string& audience) {
  const auto tokens = nlohmann::json::parse(text, nullptr, false);
  if (!tokens.is_object() || tokens.empty()) {
    return Bad(fmt::format("volume attribute '{}': is no object of tokens", kTokens));
  }
  if (audience.empty() && tokens.size() > 1) {
    return Bad("volume attribute 'audience': is missing, and there are several tokens");
  }
  const auto found = audience.empty() ? tokens.begin() : tokens.find(audience);
  if (found == tokens.end()) {
    return Bad(
        fmt::format("volume attribute 'audience': there is no token for '{}': add it to "
                    "tokenRequests of the CSIDriver",
                    Printable(audience, 128)));
  }
  const auto token = found->is_object() ? found->find("token") : found->end();
  if (!found->is_object() || token == found->end() || !token->is_string() ||
      token->get_ref<const std::string&>().empty()) {
    return Bad(fmt::format("volume attribute '{}': has no token in it", kTokens));
  }
  const auto expires = found->find("expirationTimestamp");
  if (expires != found->end() && expires->is_string()) {
    const auto when = ParseIso8601(expires->get_ref<const std::string&>());
    if (when && *when <= std::chrono::system_clock::now()) {
      return CsiFail(CsiCode::kUnauthenticated,
                     fmt::format("volume attribute '{}': the token expired at {}", kTokens,
                                 Printable(expires->get<std::string>(), 40)));
    }
  }
  return token->get<std::string>();
}

CsiResult<void> CheckEnough(const VolumeSpec& spec, const VolumeLogin& login) {
  if (!spec.role_arn.empty() && login.token.empty()) {
    return Bad(
        fmt::format("volume attribute 'role_arn': needs a token of the pod's service "
                    "account: add tokenRequests to the CSIDriver"));
  }
  if (!spec.IsS3() || spec.anonymous) return {};
  if (!login.access_key_id.empty() || !spec.role_arn.empty()) return {};
  return Bad(
      "secret key 'access_key_id': is missing: name a secret with access_key_id and "
      "secret_access_key (nodePublishSecretRef), or a role (role_arn) for the pod's service "
      "account, or say anonymous: \"true\"");
}

}  // namespace

std::string VolumeLogin::Domain() const {
  // Lengths first, so that no two of these run into each other.
  return Hex(Sha256(fmt::format("{} {} {} {} {}", name_space.size(), name_space,
                                service_account.size(), service_account, principal)))
      .substr(0, 32);
}

CsiResult<VolumeLogin> FindLogin(const VolumeSpec& spec, const StringMap& attributes,
                                 const StringMap& secrets) {
  VolumeLogin login;
  login.name_space = At(attributes, kNamespace);
  login.service_account = At(attributes, kServiceAccount);
  if (auto ok = ReadSecrets(secrets, login); !ok) return std::unexpected(std::move(ok.error()));
  std::string tokens = At(secrets, kTokens);  // Since Kubernetes 1.35.
  if (tokens.empty()) tokens = At(attributes, kTokens);
  if (login.token.empty() && login.user.empty() && !tokens.empty() && !spec.anonymous) {
    auto token = PickToken(tokens, spec.audience);
    if (!token) return std::unexpected(std::move(token.error()));
    login.token = *std::move(token);
    login.principal =
        fmt::format("service account token for '{}' role '{}'", spec.audience, spec.role_arn);
  } else if (!login.token.empty()) {
    login.principal = "token of a secret";
  }
  if (!login.user.empty()) login.principal += fmt::format(" user {}", Printable(login.user, 128));
  if (!login.access_key_id.empty()) {
    login.principal += fmt::format(" key {}", Printable(login.access_key_id, 128));
  }
  if (login.principal.empty()) login.principal = "anonymous";
  if (auto ok = CheckEnough(spec, login); !ok) return std::unexpected(std::move(ok.error()));
  return login;
}

}  // namespace modelfs::fs
