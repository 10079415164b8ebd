#include "fetch/origin_factory.h"

#include <fmt/format.h>

#include "fetch/base/percent.h"
#include "fetch/dir/dir_origin.h"
#include "fetch/s3/s3_origin.h"

namespace modelfs::fetch {
namespace {

Result<std::shared_ptr<const CredentialsProvider>> MakeCredentials(const OriginSettings& settings,
                                                                   std::string_view uri) {
  if (settings.anonymous) return std::make_shared<AnonymousCredentials>();
  if (settings.access_key_id.empty()) {
    return Fail(Errc::kDenied,
                fmt::format("{}: no credentials were found: set AWS_ACCESS_KEY_ID and "
                            "AWS_SECRET_ACCESS_KEY or a profile, or ask for anonymous access",
                            Printable(uri)));
  }
  if (settings.secret_access_key.empty()) {
    return Fail(Errc::kDenied,
                fmt::format("{}: access key id '{}' has no secret key: set AWS_SECRET_ACCESS_KEY",
                            Printable(uri), Printable(settings.access_key_id)));
  }
  return std::make_shared<StaticCredentials>(
      Credentials{.access_key_id = settings.access_key_id,
                  .secret_access_key = settings.secret_access_key,
                  .session_token = settings.session_token});
}

Result<std::shared_ptr<Origin>> MakeS3(FetchContext& context, std::string_view text,
                                       const OriginSettings& settings) {
  Result<S3Uri> uri = S3Uri::Parse(text);
  if (!uri) return std::unexpected(std::move(uri.error()));
  auto credentials = MakeCredentials(settings, text);
  if (!credentials) return std::unexpected(std::move(credentials.error()));
  S3Origin::Options options;
  options.uri = std::move(*uri);
  options.endpoint = settings.s3_endpoint;
  if (!settings.s3_region.empty()) options.region = settings.s3_region;
  options.addressing = settings.s3_addressing;
  options.credentials = std::move(*credentials);
  options.ca_bundle = settings.ca_bundle;
  options.transport = &context.transport();
  options.timer = &context.timer();
  options.budget = context.BudgetFor(settings.s3_endpoint);
  options.random = context.random();
  return S3Origin::Create(std::move(options));
}

}  // namespace

Result<std::shared_ptr<Origin>> MakeOrigin(FetchContext& context, std::string_view uri,
                                           const OriginSettings& settings) {
  constexpr std::string_view kDir = "dir:";
  if (uri.starts_with("s3://")) return MakeS3(context, uri, settings);
  if (uri.starts_with(kDir)) {
    return DirOrigin::Create(std::string(uri.substr(kDir.size())), &context.directory_pool());
  }
  return Fail(Errc::kInvalid, fmt::format("source '{}': expected s3://bucket[/prefix] or dir:/path",
                                          Printable(uri)));
}

}  // namespace modelfs::fetch
