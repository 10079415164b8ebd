#include "fetch/credentials/sts_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"
#include "fetch/base/small_file.h"
#include "fetch/base/text.h"
#include "fetch/credentials/keys_document.h"
#include "fetch/http/send_retrying.h"
#include "fetch/s3/s3_error.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kMaxAnswer = 256u << 10;
constexpr std::size_t kMaxToken = 64u << 10;
constexpr std::string_view kVersion = "2011-06-15";

NameValues RoleParameters(const CredentialSettings& settings) {
  NameValues out{{"RoleArn", settings.role_arn},
                 {"RoleSessionName",
                  settings.role_session_name.empty() ? "modelfs" : settings.role_session_name}};
  if (settings.duration_seconds > 0) {
    out.emplace_back("DurationSeconds", std::to_string(settings.duration_seconds));
  }
  return out;
}

// New tokens and providers may take a moment to be known everywhere.
bool MayPass(const HttpResponse& response) {
  if (response.status == 429 || response.status >= 500) return true;
  const std::string code = ParseS3Error(response).code;
  constexpr std::array<std::string_view, 5> kCodes{"IDPCommunicationError", "InvalidIdentityToken",
                                                   "Throttling", "ThrottlingException",
                                                   "RequestLimitExceeded"};
  return std::ranges::find(kCodes, code) != kCodes.end();
}

std::unexpected<Error> Refused(const HttpResponse& response, const std::string& action) {
  const S3Error sts = ParseS3Error(response);
  const bool later = MayPass(response) && sts.code != "InvalidIdentityToken";
  const bool expired = sts.code == "ExpiredToken" || sts.code == "ExpiredTokenException" ||
                       sts.code == "InvalidClientTokenId";
  const Errc code = later ? Errc::kTransient : expired ? Errc::kChanged : Errc::kDenied;
  return Fail(code, fmt::format("{}: HTTP {} {}: {}", action, response.status,
                                Printable(sts.code, 64), Printable(sts.message, 300)));
}

}  // namespace

StsClient::StsClient(Options options) : options_(std::move(options)) {
  const std::string region = options_.region.empty() ? "us-east-1" : options_.region;
  url_ = options_.endpoint;
  if (url_.empty()) {
    url_ = fmt::format("https://sts.{}.amazonaws.com{}", region,
                       region.starts_with("cn-") ? ".cn" : "");
  }
  while (url_.ends_with('/')) url_.pop_back();
  std::string_view host = url_;
  const std::size_t scheme = host.find("://");
  if (scheme != std::string_view::npos) host = host.substr(scheme + 3);
  const std::string_view default_port = url_.starts_with("http:") ? ":80" : ":443";
  if (host.ends_with(default_port)) host.remove_suffix(default_port.size());
  host_ = host;
}

void StsClient::Call(const std::string& action, NameValues parameters,
                     const std::optional<Credentials>& keys, std::stop_token stop,
                     Done<TemporaryKeys> done) const {
  parameters.emplace_back("Action", action);
  parameters.emplace_back("Version", kVersion);
  HttpRequest request;
  request.method = "POST";
  request.url = fmt::format("{}/", url_);
  request.body = CanonicalQuery(parameters);
  request.headers = {{"content-type", "application/x-www-form-urlencoded; charset=utf-8"}};
  if (keys) {
    SigV4Request to_sign{.method = request.method,
                         .path = "/",
                         .query = {},
                         .headers = request.headers,
                         .payload_sha256 = Hex(Sha256(request.body))};
    to_sign.headers.emplace_back("host", host_);
    for (auto& header :
         SignHeaders(to_sign, *keys,
                     {.region = options_.region.empty() ? "us-east-1" : options_.region,
                      .service = "sts",
                      .time = options_.wall_clock()})) {
      request.headers.push_back(std::move(header));
    }
  }
  request.headers.emplace_back("user-agent", "modelfs");
  request.total_timeout = std::chrono::seconds(15);
  request.max_body_bytes = kMaxAnswer;
  request.ca_bundle = options_.ca_bundle;
  options_.proxy.Apply(request);
  request.stop = std::move(stop);
  SendRetrying(*options_.transport, *options_.timer, {.again = MayPass}, std::move(request),
               [done = std::move(done), action](Result<HttpResponse> outcome) mutable {
                 if (!outcome) return done(std::unexpected(std::move(outcome.error())));
                 if (outcome->status != 200) return done(Refused(*outcome, action));
                 done(ParseKeysXml(outcome->body, action));
               });
}

std::string WebIdentitySource::Describe() const {
  return fmt::format("role {} by the token in '{}' at {}", settings_.role_arn, settings_.token_file,
                     sts_.url());
}

void WebIdentitySource::Fetch(std::stop_token stop, Done<TemporaryKeys> done) {
  const auto token = ReadSmallFile(settings_.token_file, kMaxToken);
  if (!token) return done(std::unexpected(token.error()));
  if (Trim(*token).empty()) {
    return done(Fail(Errc::kDenied, fmt::format("'{}' is empty", settings_.token_file)));
  }
  NameValues parameters = RoleParameters(settings_);
  parameters.emplace_back("WebIdentityToken", Trim(*token));
  sts_.Call("AssumeRoleWithWebIdentity", std::move(parameters), std::nullopt, std::move(stop),
            [done = std::move(done)](Result<TemporaryKeys> keys) mutable {
              if (!keys && keys.error().code == Errc::kChanged) keys.error().code = Errc::kDenied;
              done(std::move(keys));
            });
}

std::string AssumeRoleSource::Describe() const {
  return fmt::format("role {} at {}", settings_.role_arn, sts_.url());
}

void AssumeRoleSource::Fetch(std::stop_token stop, Done<TemporaryKeys> done) {
  Ask(std::nullopt, std::move(stop), std::move(done));
}

void AssumeRoleSource::Ask(const std::optional<Credentials>& rejected, std::stop_token stop,
                           Done<TemporaryKeys> done) {
  // base_ does not know our stop; it is stopped beside us, see MakeCredentials.
  base_->Get(rejected,
             [self = shared_from_this(), first = !rejected.has_value(), stop = std::move(stop),
              done = std::move(done)](Result<std::optional<Credentials>> keys) mutable {
               if (!keys) return done(std::unexpected(std::move(keys.error())));
               NameValues parameters = RoleParameters(self->settings_);
               if (!self->settings_.external_id.empty()) {
                 parameters.emplace_back("ExternalId", self->settings_.external_id);
               }
               self->sts_.Call("AssumeRole", std::move(parameters), *keys, stop,
                               [self, first, stop, used = *keys,
                                done = std::move(done)](Result<TemporaryKeys> result) mutable {
                                 if (!result && result.error().code == Errc::kChanged) {
                                   // The base's keys have expired.
                                   if (first && self->base_->CanRefresh()) {
                                     return self->Ask(used, std::move(stop), std::move(done));
                                   }
                                   result.error().code = Errc::kDenied;
                                 }
                                 done(std::move(result));
                               });
             });
}

}  // namespace modelfs::fetch
