#include "fs/config/credential_chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "fs/config/endpoint.h"

namespace modelfs::fs {
namespace {

using fetch::CredentialSettings;
using Kind = CredentialSettings::Kind;
using Found = Result<std::optional<CredentialSettings>>;

constexpr std::string_view kInstead =
    "use keys from the environment or ~/.aws, a credential_process or a role, or none at all "
    "(--anonymous)";
constexpr const char* kInstanceService = "http://169.254.169.254";

std::unexpected<Error> NotYet(std::string_view where, std::string_view what) {
  return Fail(Errc::kDenied,
              fmt::format("{} uses {}, which is not supported yet; {}", where, what, kInstead));
}

bool Yes(std::string_view text) { return text == "true" || text == "True" || text == "TRUE"; }

class Chain {
 public:
  Chain(const SourceSettings& source, const Environment& env) : source_(source), env_(env) {}

  Result<CredentialSettings> Find(const AwsFiles& files) {
    if (!source_.profile) {
      if (auto found = FromEnvironment(); !found || *found) return Whole(std::move(found));
    }
    if (auto found = FromFiles(files); !found || *found) return Whole(std::move(found));
    if (!source_.profile) {
      if (auto found = FromContainer(); !found || *found) return Whole(std::move(found));
      if (!Yes(env_.Get("AWS_EC2_METADATA_DISABLED").value_or(""))) {
        auto found = FromInstance();
        if (found) found->where = fmt::format("; before that, {}", Places(files));
        return found;
      }
    }
    return Fail(Errc::kDenied, fmt::format("no credentials: {}", Places(files)));
  }

 private:
  static Result<CredentialSettings> Whole(Found found) {
    if (!found) return std::unexpected(std::move(found.error()));
    std::optional<CredentialSettings>& settings = *found;
    if (!settings) return Fail(Errc::kDenied, "no credentials");
    return *std::move(settings);
  }

  std::string Places(const AwsFiles& files) const {
    return fmt::format(
        "looked {}in profile '{}' of {} and {}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "or "
        "give --anonymous for a public bucket",
        source_.profile ? "" : "at AWS_ACCESS_KEY_ID, ", files.profile,
        files.credentials_path.string(), files.config_path.string());
  }

  Found FromEnvironment() const {
    const auto key = env_.Get("AWS_ACCESS_KEY_ID");
    const auto secret = env_.Get("AWS_SECRET_ACCESS_KEY");
    if (!key && !secret) return std::nullopt;
    if (!key || !secret) {
      return Fail(Errc::kDenied, fmt::format("incomplete credentials: {} is set and {} is not",
                                             key ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                                             key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID"));
    }
    CredentialSettings out;
    out.where = "environment";
    out.access_key_id = *key;
    out.secret_access_key = *secret;
    out.session_token =
        env_.Get("AWS_SESSION_TOKEN").value_or(env_.Get("AWS_SECURITY_TOKEN").value_or(""));
    return out;
  }

  /// The keys that `profile`, of one file or of both, holds.
  static Found FromProfile(const AwsFiles& files, const fetch::AwsProfile& profile,
                           const std::string& where) {
    if (profile.access_key_id.empty() && profile.secret_access_key.empty()) return std::nullopt;
    if (profile.access_key_id.empty() || profile.secret_access_key.empty()) {
      return Fail(Errc::kDenied,
                  fmt::format("incomplete credentials: {} has no {}", where,
                              profile.access_key_id.empty() ? "aws_access_key_id"
                                                            : "aws_secret_access_key"));
    }
    CredentialSettings out;
    out.kind = Kind::kProfile;
    out.where = where;
    out.access_key_id = profile.access_key_id;
    out.secret_access_key = profile.secret_access_key;
    out.session_token = profile.session_token;
    out.profile = files.profile;
    out.credentials_file = files.credentials_path.string();
    out.config_file = files.config_path.string();
    return out;
  }

  Found FromFiles(const AwsFiles& files) {
    const std::string config = files.Describe(files.config_path);
    if (!files.Get("role_arn").empty()) {
      if (!files.Get("web_identity_token_file").empty()) return ProfileIdentity(files, config);
      return ProfileRole(files, config);
    }
    if (!source_.profile && roles_.empty()) {
      if (auto found = EnvironmentIdentity(files); !found || *found) return found;
    }
    for (const char* const key : {"sso_session", "sso_start_url"}) {
      if (!files.Get(key).empty())
        return NotYet(config, fmt::format("{} (IAM Identity Center)", key));
    }
    auto found = FromProfile(files, files.credentials, files.Describe(files.credentials_path));
    if (!found || *found) return found;
    if (!files.Get("login_session").empty()) return NotYet(config, "login_session");
    if (const std::string command = files.Get("credential_process"); !command.empty()) {
      CredentialSettings out;
      out.kind = Kind::kProcess;
      out.where = config;
      out.profile = files.profile;
      out.command = command;
      out.environment = ProcessEnvironment();
      return out;
    }
    return FromProfile(files, files.config, config);
  }

  /// What a program that gives keys may want to know; it may run in a daemon started elsewhere.
  std::vector<std::string> ProcessEnvironment() const {
    std::vector<std::string> out;
    for (const char* const name : {"PATH",
                                   "HOME",
                                   "USER",
                                   "LOGNAME",
                                   "SHELL",
                                   "LANG",
                                   "TMPDIR",
                                   "XDG_CONFIG_HOME",
                                   "XDG_CACHE_HOME",
                                   "XDG_DATA_HOME",
                                   "XDG_RUNTIME_DIR",
                                   "DBUS_SESSION_BUS_ADDRESS",
                                   "SSL_CERT_FILE",
                                   "SSL_CERT_DIR",
                                   "AWS_CONFIG_FILE",
                                   "AWS_SHARED_CREDENTIALS_FILE",
                                   "AWS_PROFILE",
                                   "AWS_REGION",
                                   "AWS_DEFAULT_REGION",
                                   "AWS_CA_BUNDLE",
                                   "AWS_ENDPOINT_URL",
                                   "http_proxy",
                                   "https_proxy",
                                   "HTTPS_PROXY",
                                   "all_proxy",
                                   "ALL_PROXY",
                                   "no_proxy",
                                   "NO_PROXY"}) {
      if (const auto value = env_.Get(name)) out.push_back(fmt::format("{}={}", name, *value));
    }
    return out;
  }

  Result<CredentialSettings> Role(const AwsFiles& files, const std::string& arn) const {
    CredentialSettings out;
    out.role_arn = arn;
    auto endpoint = StsEndpoint(files);
    if (!endpoint) return std::unexpected(endpoint.error());
    out.sts_endpoint = *std::move(endpoint);
    for (const char* const variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
      if (out.region.empty()) out.region = env_.Get(variable).value_or("");
    }
    if (out.region.empty()) out.region = files.merged.region;
    if (out.region.empty()) out.region = source_.region.value_or("");
    return out;
  }

  Result<std::string> StsEndpoint(const AwsFiles& files) const {
    if (Yes(env_.Get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").value_or("")) ||
        Yes(files.Get("ignore_configured_endpoint_urls"))) {
      return std::string();
    }
    const std::array<std::pair<std::string, std::string>, 4> places{{
        {env_.Get("AWS_ENDPOINT_URL_STS").value_or(""), "AWS_ENDPOINT_URL_STS"},
        {env_.Get("AWS_ENDPOINT_URL").value_or(""), "AWS_ENDPOINT_URL"},
        {files.merged.sts_endpoint_url, files.Describe(files.config_path)},
        {files.merged.endpoint_url, files.Describe(files.config_path)},
    }};
    for (const auto& [url, place] : places) {
      if (url.empty()) continue;
      auto endpoint = ParseEndpoint(url);
      if (!endpoint) {
        return Fail(endpoint.error().code, fmt::format("{}: {}", place, endpoint.error().what));
      }
      return endpoint;
    }
    return std::string();
  }

  Found EnvironmentIdentity(const AwsFiles& files) const {
    const auto token = env_.Get("AWS_WEB_IDENTITY_TOKEN_FILE");
    const auto arn = env_.Get("AWS_ROLE_ARN");
    if (!token || !arn) return std::nullopt;
    auto out = Role(files, *arn);
    if (!out) return std::unexpected(out.error());
    out->kind = Kind::kWebIdentity;
    out->where = "AWS_WEB_IDENTITY_TOKEN_FILE";
    out->token_file = *token;
    out->role_session_name = env_.Get("AWS_ROLE_SESSION_NAME").value_or("");
    return *std::move(out);
  }

  Found ProfileIdentity(const AwsFiles& files, const std::string& where) const {
    auto out = Role(files, files.Get("role_arn"));
    if (!out) return std::unexpected(out.error());
    out->kind = Kind::kWebIdentity;
    out->where = where;
    out->token_file = files.Get("web_identity_token_file");
    out->role_session_name = files.Get("role_session_name");
    return *std::move(out);
  }

  Found ProfileRole(const AwsFiles& files, const std::string& where) {
    auto out = Role(files, files.Get("role_arn"));
    if (!out) return std::unexpected(out.error());
    if (!files.Get("mfa_serial").empty()) return NotYet(where, "mfa_serial (a code to be typed)");
    out->kind = Kind::kAssumeRole;
    out->where = where;
    out->role_session_name = files.Get("role_session_name");
    out->external_id = files.Get("external_id");
    if (const std::string text = files.Get("duration_seconds"); !text.empty()) {
      const auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), out->duration_seconds);
      if (error != std::errc{} || end != text.data() + text.size()) {
        return Fail(Errc::kInvalid,
                    fmt::format("{}: duration_seconds '{}' is no number", where, text));
      }
    }
    auto base = BaseOf(files, where);
    if (!base) return std::unexpected(base.error());
    out->source = std::make_shared<const CredentialSettings>(*std::move(base));
    return *std::move(out);
  }

  /// The keys that a profile's role is assumed with.
  Result<CredentialSettings> BaseOf(const AwsFiles& files, const std::string& where) {
    const std::string from = files.Get("credential_source");
    const std::string profile = files.Get("source_profile");
    if (from.empty() == profile.empty()) {
      return Fail(
          Errc::kInvalid,
          fmt::format("{}: role_arn needs source_profile or credential_source, and not both",
                      where));
    }
    if (profile.empty()) return FromNamedSource(from, where);
    const bool itself = profile == files.profile;
    if (std::ranges::find(roles_, profile) != roles_.end()) {
      return Fail(Errc::kInvalid, fmt::format("{}: source_profile leads round in a circle", where));
    }
    roles_.push_back(files.profile);
    if (itself) {  // Its own keys.
      auto keys = FromProfile(files, files.merged, where);
      if (keys && !*keys) return Fail(Errc::kDenied, fmt::format("{} has no keys", where));
      return Whole(std::move(keys));
    }
    const auto other = ReadAwsFiles(profile, env_);
    if (!other) return std::unexpected(other.error());
    auto found = FromFiles(*other);
    if (found && !*found) {
      return Fail(Errc::kDenied,
                  fmt::format("{}: source_profile '{}' has no credentials", where, profile));
    }
    return Whole(std::move(found));
  }

  Result<CredentialSettings> FromNamedSource(const std::string& from, const std::string& where) {
    if (from == "Ec2InstanceMetadata") return FromInstance();
    if (from != "Environment" && from != "EcsContainer") {
      return Fail(Errc::kInvalid, fmt::format("{}: credential_source '{}' is none of Environment, "
                                              "Ec2InstanceMetadata, EcsContainer",
                                              where, from));
    }
    auto found = from == "Environment" ? FromEnvironment() : FromContainer();
    if (found && !*found) {
      return Fail(Errc::kDenied,
                  fmt::format("{}: credential_source {} has no credentials", where, from));
    }
    return Whole(std::move(found));
  }

  Found FromContainer() const {
    const auto relative = env_.Get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const auto full = env_.Get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (!relative && !full) return std::nullopt;
    CredentialSettings out;
    out.kind = Kind::kContainer;
    out.where =
        relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" : "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    if (relative && !relative->starts_with('/')) {
      return Fail(Errc::kInvalid, fmt::format("{} does not begin with '/'", out.where));
    }
    out.uri = relative ? fmt::format("http://169.254.170.2{}", *relative) : *full;
    out.token_file = env_.Get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").value_or("");
    out.token = env_.Get("AWS_CONTAINER_AUTHORIZATION_TOKEN").value_or("");
    return out;
  }

  Result<CredentialSettings> FromInstance() const {
    CredentialSettings out;
    out.kind = Kind::kInstance;
    out.uri = kInstanceService;
    if (env_.Get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") == "IPv6") {
      out.uri = "http://[fd00:ec2::254]";
    }
    if (const auto url = env_.Get("AWS_EC2_METADATA_SERVICE_ENDPOINT")) {
      auto endpoint = ParseEndpoint(*url);
      if (!endpoint) {
        return Fail(endpoint.error().code,
                    fmt::format("AWS_EC2_METADATA_SERVICE_ENDPOINT: {}", endpoint.error().what));
      }
      out.uri = *std::move(endpoint);
    }
    out.version_1_allowed = !Yes(env_.Get("AWS_EC2_METADATA_V1_DISABLED").value_or(""));
    out.attempts = Number("AWS_METADATA_SERVICE_NUM_ATTEMPTS", 1, 10);
    out.timeout = std::chrono::seconds(Number("AWS_METADATA_SERVICE_TIMEOUT", 1, 60));
    return out;
  }

  std::uint32_t Number(const char* variable, std::uint32_t otherwise, std::uint32_t most) const {
    const std::string text = env_.Get(variable).value_or("");
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value == 0) return otherwise;
    return std::min(value, most);
  }

  const SourceSettings& source_;
  const Environment& env_;
  std::vector<std::string> roles_;  // Profiles whose roles lead to where we look.
};

}  // namespace

Result<CredentialSettings> FindCredentials(const SourceSettings& source, const Environment& env,
                                           const AwsFiles& files) {
  return Chain(source, env).Find(files);
}

}  // namespace modelfs::fs
