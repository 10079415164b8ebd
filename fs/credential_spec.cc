#include "fs/credential_spec.h"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <string_view>
#include <utility>

namespace modelfs::fs {
namespace {

using fetch::CredentialSettings;
using fetch::ProxySettings;
using nlohmann::json;
using Kind = CredentialSettings::Kind;

constexpr int kMaxDepth = 8;

constexpr std::array<std::pair<Kind, std::string_view>, 7> kKinds{{
    {Kind::kKeys, "keys"},
    {Kind::kProfile, "profile"},
    {Kind::kProcess, "process"},
    {Kind::kWebIdentity, "web_identity"},
    {Kind::kAssumeRole, "assume_role"},
    {Kind::kContainer, "container"},
    {Kind::kInstance, "instance"},
}};

template <class T>
using Texts = std::pair<const char*, std::string T::*>;

constexpr std::array<Texts<CredentialSettings>, 16> kTexts{{
    {"where", &CredentialSettings::where},
    {"access_key_id", &CredentialSettings::access_key_id},
    {"secret_access_key", &CredentialSettings::secret_access_key},
    {"session_token", &CredentialSettings::session_token},
    {"profile", &CredentialSettings::profile},
    {"credentials_file", &CredentialSettings::credentials_file},
    {"config_file", &CredentialSettings::config_file},
    {"command", &CredentialSettings::command},
    {"role_arn", &CredentialSettings::role_arn},
    {"role_session_name", &CredentialSettings::role_session_name},
    {"external_id", &CredentialSettings::external_id},
    {"token_file", &CredentialSettings::token_file},
    {"sts_endpoint", &CredentialSettings::sts_endpoint},
    {"region", &CredentialSettings::region},
    {"uri", &CredentialSettings::uri},
    {"token", &CredentialSettings::token},
}};

constexpr std::array<Texts<ProxySettings>, 4> kProxyTexts{{
    {"http", &ProxySettings::http},
    {"https", &ProxySettings::https},
    {"all", &ProxySettings::all},
    {"no_proxy", &ProxySettings::no_proxy},
}};

std::unexpected<Error> Bad(const std::string& path, std::string_view name,
                           std::string_view expected) {
  return Fail(Errc::kInvalid, fmt::format("{}.{} is not {}", path, name, expected));
}

template <class T, std::size_t N>
json TextsToJson(const T& from, const std::array<Texts<T>, N>& texts) {
  json out = json::object();
  for (const auto& [name, member] : texts) {
    if (!(from.*member).empty()) out[name] = from.*member;
  }
  return out;
}

template <class T, std::size_t N>
Result<T> TextsFromJson(const json& object, const std::string& path,
                        const std::array<Texts<T>, N>& texts) {
  if (!object.is_object()) return Fail(Errc::kInvalid, fmt::format("{} is not an object", path));
  T out;
  for (const auto& [name, member] : texts) {
    const auto found = object.find(name);
    if (found == object.end()) continue;
    if (!found->is_string()) return Bad(path, name, "a string");
    out.*member = found->template get<std::string>();
  }
  return out;
}

Result<std::uint32_t> Number(const json& object, const std::string& path, const char* name,
                             std::uint32_t otherwise) {
  const auto found = object.find(name);
  if (found == object.end()) return otherwise;
  const auto value = found->is_number_integer() ? found->get<std::int64_t>() : -1;
  if (value < 0 || value > 1'000'000) {
    return Bad(path, name, "a whole number that is not negative");
  }
  return static_cast<std::uint32_t>(value);
}

Result<CredentialSettings> Parse(const json& object, const std::string& path, int depth) {
  auto out = TextsFromJson(object, path, kTexts);
  if (!out) return out;
  if (const auto found = object.find("kind"); found != object.end()) {
    bool known = false;
    for (const auto& [kind, name] : kKinds) {
      if (*found != json(std::string(name))) continue;
      out->kind = kind;
      known = true;
    }
    if (!known) return Bad(path, "kind", "one of the known words");
  }
  const auto duration = Number(object, path, "duration_seconds", 0);
  if (!duration) return std::unexpected(duration.error());
  const auto attempts = Number(object, path, "attempts", 1);
  if (!attempts) return std::unexpected(attempts.error());
  const auto timeout = Number(object, path, "timeout_ms", 1'000);
  if (!timeout) return std::unexpected(timeout.error());
  out->duration_seconds = *duration;
  out->attempts = *attempts;
  out->timeout = std::chrono::milliseconds(*timeout);
  if (const auto found = object.find("version_1_allowed"); found != object.end()) {
    if (!found->is_boolean()) return Bad(path, "version_1_allowed", "true or false");
    out->version_1_allowed = found->get<bool>();
  }
  if (const auto found = object.find("environment"); found != object.end()) {
    if (!found->is_array()) return Bad(path, "environment", "an array of strings");
    for (const json& variable : *found) {
      if (!variable.is_string()) return Bad(path, "environment", "an array of strings");
      out->environment.push_back(variable.get<std::string>());
    }
  }
  if (const auto found = object.find("source"); found != object.end()) {
    if (depth >= kMaxDepth) return Bad(path, "source", "so deep");
    auto source = Parse(*found, fmt::format("{}.source", path), depth + 1);
    if (!source) return source;
    out->source = std::make_shared<const CredentialSettings>(*std::move(source));
  }
  return out;
}

}  // namespace

json CredentialsToJson(const CredentialSettings& credentials) {
  json out = TextsToJson(credentials, kTexts);
  for (const auto& [kind, name] : kKinds) {
    if (kind == credentials.kind) out["kind"] = std::string(name);
  }
  out["duration_seconds"] = credentials.duration_seconds;
  out["attempts"] = credentials.attempts;
  out["timeout_ms"] = credentials.timeout.count();
  out["version_1_allowed"] = credentials.version_1_allowed;
  if (!credentials.environment.empty()) out["environment"] = credentials.environment;
  if (credentials.source) out["source"] = CredentialsToJson(*credentials.source);
  return out;
}

Result<CredentialSettings> CredentialsFromJson(const json& object, const std::string& path) {
  return Parse(object, path, 1);
}

json ProxyToJson(const ProxySettings& proxy) { return TextsToJson(proxy, kProxyTexts); }

Result<ProxySettings> ProxyFromJson(const json& object, const std::string& path) {
  return TextsFromJson(object, path, kProxyTexts);
}

}  // namespace modelfs::fs
