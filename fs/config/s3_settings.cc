#include "fs/config/s3_settings.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "fs/config/aws_files.h"
#include "fs/config/credential_chain.h"
#include "fs/config/endpoint.h"
#include "fs/config/readable_path.h"

namespace modelfs::fs {
namespace {

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
  return ReadablePath(path, "the CA bundle");
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
  } else {
    auto found = FindCredentials(source, env, *files);
    if (!found) return std::unexpected(found.error());
    resolved.s3.access_key_id = found->access_key_id;
    resolved.s3.secret_access_key = found->secret_access_key;
    resolved.s3.session_token = found->session_token;
    resolved.s3.credential_origin = found->where;
    resolved.s3.credentials = *std::move(found);
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
