#include "fetch/origin_factory.h"

#include <fmt/format.h>

#include "fetch/base/percent.h"
#include "fetch/credentials/credential_factory.h"
#include "fetch/dir/dir_origin.h"
#include "fetch/http_dir/http_dir_origin.h"
#include "fetch/s3/s3_origin.h"

namespace modelfs::fetch {
namespace {

Result<std::shared_ptr<CredentialsProvider>> S3Credentials(FetchContext& context,
                                                           const OriginSettings& settings) {
  if (settings.anonymous) return std::make_shared<AnonymousCredentials>();
  CredentialSettings where = settings.credentials;
  if (where.kind == CredentialSettings::Kind::kKeys && where.access_key_id.empty()) {
    where.access_key_id = settings.access_key_id;
    where.secret_access_key = settings.secret_access_key;
    where.session_token = settings.session_token;
  }
  return MakeCredentials(context, where, settings.ca_bundle, settings.proxy);
}

Result<std::shared_ptr<Origin>> MakeS3(FetchContext& context, std::string_view text,
                                       const OriginSettings& settings) {
  Result<S3Uri> uri = S3Uri::Parse(text);
  if (!uri) return std::unexpected(std::move(uri.error()));
  auto credentials = S3Credentials(context, settings);
  if (!credentials) {
    return Fail(credentials.error().code,
                fmt::format("{}: {}", Printable(text), credentials.error().what));
  }
  S3Origin::Options options;
  options.uri = std::move(*uri);
  options.endpoint = settings.s3_endpoint;
  if (!settings.s3_region.empty()) options.region = settings.s3_region;
  options.addressing = settings.s3_addressing;
  options.credentials = std::move(*credentials);
  options.ca_bundle = settings.ca_bundle;
  options.proxy = settings.proxy;
  options.transport = &context.transport();
  options.timer = &context.timer();
  options.budget = context.BudgetFor(settings.s3_endpoint);
  options.random = context.random();
  return S3Origin::Create(std::move(options));
}

Result<std::shared_ptr<Origin>> MakeHttp(FetchContext& context, std::string_view text,
                                         const OriginSettings& settings) {
  Result<HttpUrl> url = HttpUrl::Parse(text);
  if (!url) return std::unexpected(std::move(url.error()));
  if (!settings.http_auth_file.empty() && !settings.http_token_file.empty()) {
    return Fail(Errc::kInvalid,
                fmt::format("{}: auth_file and token_file exclude each other", url->ToString()));
  }
  HttpDirOrigin::Options options;
  options.auth = {.basic_file = settings.http_auth_file, .bearer_file = settings.http_token_file};
  options.ca_bundle = settings.ca_bundle;
  options.proxy = settings.proxy;
  options.transport = &context.transport();
  options.timer = &context.timer();
  options.budget = context.BudgetFor(fmt::format("{}://{}", url->scheme, url->authority));
  options.random = context.random();
  options.url = *std::move(url);
  return std::make_shared<HttpDirOrigin>(std::move(options));
}

}  // namespace

Result<std::shared_ptr<Origin>> MakeOrigin(FetchContext& context, std::string_view uri,
                                           const OriginSettings& settings) {
  constexpr std::string_view kDir = "dir:";
  if (uri.starts_with("s3://")) return MakeS3(context, uri, settings);
  if (uri.starts_with("http://") || uri.starts_with("https://")) {
    return MakeHttp(context, uri, settings);
  }
  if (uri.starts_with(kDir)) {
    return DirOrigin::Create(std::string(uri.substr(kDir.size())), &context.directory_pool(),
                             &context.bandwidth());
  }
  return Fail(Errc::kInvalid,
              fmt::format("source '{}': expected s3://bucket[/prefix], http(s)://host/path "
                          "or dir:/path",
                          Printable(uri)));
}

}  // namespace modelfs::fetch
