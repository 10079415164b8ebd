#include "fs/config/s3_settings.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "fetch/base/handle.h"
#include "fs/config/aws_files.h"
#include "fs/config/endpoint.h"

namespace modelfs::fs {
namespace {

constexpr std::string_view kInstead =
    "this version uses keys from the environment or ~/.aws, or none at all (--anonymous)";

std::unexpected<Error> NotYet(std::string_view where, std::string_view what) {
  return Fail(Errc::kDenied,
              fmt::format("{} uses {}, which is not supported yet; {}", where, what, kInstead));
}

/// True when credentials were found and put into `s3`.
Result<bool> FromEnvironment(const Environment& env, S3Settings& s3) {
  const auto key = env.Get("AWS_ACCESS_KEY_ID");
  const auto secret = env.Get("AWS_SECRET_ACCESS_KEY");
  if (!key && !secret) return false;
  if (!key || !secret) {
    return Fail(Errc::kDenied, fmt::format("incomplete credentials: {} is set and {} is not",
                                           key ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                                           key ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID"));
  }
  s3.access_key_id = *key;
  s3.secret_access_key = *secret;
  s3.session_token =
      env.Get("AWS_SESSION_TOKEN").value_or(env.Get("AWS_SECURITY_TOKEN").value_or(""));
  s3.credential_origin = "environment";
  return true;
}

Result<bool> FromProfile(const fetch::AwsProfile& profile, const std::string& where,
                         S3Settings& s3) {
  if (profile.access_key_id.empty() && profile.secret_access_key.empty()) return false;
  if (profile.access_key_id.empty() || profile.secret_access_key.empty()) {
    return Fail(
        Errc::kDenied,
        fmt::format("incomplete credentials: {} has no {}", where,
                    profile.access_key_id.empty() ? "aws_access_key_id" : "aws_secret_access_key"));
  }
  s3.access_key_id = profile.access_key_id;
  s3.secret_access_key = profile.secret_access_key;
  s3.session_token = profile.session_token;
  s3.credential_origin = where;
  return true;
}

/// The profile's part of the chain, in botocore's order. A provider that is configured ends it,
/// also when we cannot use it: falling through would sign as somebody else.
Result<bool> FromFiles(const AwsFiles& files, const Environment& env, bool explicit_profile,
                       S3Settings& s3) {
  const auto config = files.Describe(files.config_path);
  if (!files.Get("role_arn").empty()) return NotYet(config, "role_arn (an assumed role)");
  if (!explicit_profile && env.Get("AWS_WEB_IDENTITY_TOKEN_FILE") && env.Get("AWS_ROLE_ARN")) {
    return NotYet("AWS_WEB_IDENTITY_TOKEN_FILE", "a web identity token");
  }
  for (const char* const key : {"sso_session", "sso_start_url"}) {
    if (!files.Get(key).empty())
      return NotYet(config, fmt::format("{} (IAM Identity Center)", key));
  }
  auto found = FromProfile(files.credentials, files.Describe(files.credentials_path), s3);
  if (!found || *found) return found;
  for (const char* const key : {"login_session", "credential_process"}) {
    if (!files.Get(key).empty()) return NotYet(config, key);
  }
  return FromProfile(files.config, config, s3);
}

Result<void> FindCredentials(const SourceSettings& source, const Environment& env,
                             const AwsFiles& files, S3Settings& s3) {
  if (!source.profile) {
    auto found = FromEnvironment(env, s3);
    if (!found) return std::unexpected(found.error());
    if (*found) return {};
  }
  auto found = FromFiles(files, env, source.profile.has_value(), s3);
  if (!found) return std::unexpected(found.error());
  if (*found) return {};
  for (const char* const variable :
       {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"}) {
    if (!source.profile && env.Get(variable)) return NotYet(variable, "container credentials");
  }
  return Fail(Errc::kDenied,
              fmt::format("no credentials: looked {}in profile '{}' of {} and {}; set "
                          "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give --anonymous for a "
                          "public bucket",
                          source.profile ? "" : "at AWS_ACCESS_KEY_ID, ", files.profile,
                          files.credentials_path.string(), files.config_path.string()));
}

/// The first of the places that has an endpoint, and what to call that place.
Result<std::string> FindEndpoint(const SourceSettings& source, const Environment& env,
                                 const AwsFiles& files) {
  if (source.endpoint) return *source.endpoint;
  std::pair<std::string, std::string> found;  // value, place
  const auto take = [&found](std::string value, std::string place) {
    if (found.first.empty()) found = {std::move(value), std::move(place)};
  };
  const auto yes = [](const std::string& text) { return text == "true" || text == "True"; };
  if (!yes(env.Get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").value_or("")) &&
      !yes(files.Get("ignore_configured_endpoint_urls"))) {
    for (const char* const variable : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
      take(env.Get(variable).value_or(""), variable);
    }
    take(files.merged.s3_endpoint_url, files.Describe(files.config_path));
    take(files.merged.endpoint_url, files.Describe(files.config_path));
  }
  take(env.Get("MLFLOW_S3_ENDPOINT_URL").value_or(""), "MLFLOW_S3_ENDPOINT_URL");
  if (found.first.empty()) return std::string();
  auto endpoint = ParseEndpoint(found.first);
  if (!endpoint) {
    return Fail(endpoint.error().code, fmt::format("{}: {}", found.second, endpoint.error().what));
  }
  return endpoint;
}

std::string FindRegion(const SourceSettings& source, const Environment& env,
                       const AwsFiles& files) {
  if (source.region) return *source.region;
  for (const char* const variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (auto region = env.Get(variable)) return *region;
  }
  return files.merged.region;
}

Result<std::string> FindCaBundle(const SourceSettings& source, const Environment& env,
                                 const AwsFiles& files) {
  std::string path = source.ca_bundle.value_or(env.Get("AWS_CA_BUNDLE").value_or(""));
  if (path.empty()) path = files.merged.ca_bundle;
  if (path.empty()) return path;
  std::error_code error;
  path = std::filesystem::absolute(path, error).lexically_normal().string();
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char byte = 0;
  if (!fd || ::read(fd.get(), &byte, 1) < 0) {
    return FailErrno(errno, fmt::format("read the CA bundle '{}'", path));
  }
  return path;
}

S3Settings::Addressing FindAddressing(const SourceSettings& source, const AwsFiles& files) {
  using enum S3Settings::Addressing;
  if (source.addressing) return *source.addressing;
  if (files.merged.s3_addressing_style == "path") return kPath;
  if (files.merged.s3_addressing_style == "virtual") return kVirtual;
  return kAuto;
}

}  // namespace

Result<ResolvedS3> ResolveS3(const SourceSettings& source, const Environment& env) {
  const auto files = ReadAwsFiles(source.profile.value_or(""), env);
  if (!files) return std::unexpected(files.error());
  ResolvedS3 resolved;
  resolved.s3.anonymous = source.anonymous.value_or(false);
  if (resolved.s3.anonymous) {
    resolved.s3.credential_origin = "anonymous";
  } else if (auto ok = FindCredentials(source, env, *files, resolved.s3); !ok) {
    return std::unexpected(ok.error());
  }
  auto endpoint = FindEndpoint(source, env, *files);
  if (!endpoint) return std::unexpected(endpoint.error());
  auto ca_bundle = FindCaBundle(source, env, *files);
  if (!ca_bundle) return std::unexpected(ca_bundle.error());
  resolved.s3.endpoint = *std::move(endpoint);
  resolved.s3.region = FindRegion(source, env, *files);
  resolved.s3.addressing = FindAddressing(source, *files);
  resolved.ca_bundle = *std::move(ca_bundle);
  return resolved;
}

}  // namespace modelfs::fs
