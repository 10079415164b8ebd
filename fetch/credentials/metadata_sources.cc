#include "fetch/credentials/metadata_sources.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "fetch/base/percent.h"
#include "fetch/base/small_file.h"
#include "fetch/base/text.h"
#include "fetch/credentials/keys_document.h"
#include "fetch/http/send_retrying.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kMaxAnswer = 64u << 10;
constexpr std::string_view kRoles = "/latest/meta-data/iam/security-credentials/";

// The status of an answer that is no document, as an error.
std::unexpected<Error> Refused(std::string_view what, int status) {
  const bool down = status == 429 || status >= 500;
  return Fail(down ? Errc::kTransient : Errc::kDenied,
              fmt::format("{} answers HTTP {}", what, status));
}

Result<std::string> AuthorizationToken(const CredentialSettings& settings) {
  if (settings.token_file.empty()) return settings.token;
  auto text = ReadSmallFile(settings.token_file, kMaxAnswer);
  if (!text) return text;
  std::string token(Trim(*text));
  if (token.find_first_of("\r\n") != std::string::npos) {
    return Fail(Errc::kInvalid,
                fmt::format("the token in '{}' has more than one line", settings.token_file));
  }
  return token;
}

}  // namespace

Result<void> CheckContainerUri(const std::string& uri) {
  constexpr std::string_view kHttp = "http://";
  if (uri.starts_with("https://")) return {};
  const std::string_view rest =
      uri.starts_with(kHttp) ? std::string_view(uri).substr(kHttp.size()) : "";
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const std::size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  const std::string_view host =
      bracket == std::string_view::npos || authority.contains('@')
          ? ""
          : authority.substr(0, std::min(authority.find(':', bracket), authority.size()));
  constexpr std::array<std::string_view, 5> kHosts{"localhost", "169.254.170.2", "169.254.170.23",
                                                   "[fd00:ec2::23]", "[::1]"};
  const bool loopback =
      host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
  if (loopback || std::ranges::find(kHosts, host) != kHosts.end()) return {};
  return Fail(
      Errc::kInvalid,
      fmt::format("AWS_CONTAINER_CREDENTIALS_FULL_URI: '{}' is neither https nor an address "
                  "of this machine or its container agent; keys are not asked for there",
                  Printable(uri.substr(0, uri.find('?')), 200)));
}

std::string ContainerSource::Describe() const {
  return fmt::format("the container endpoint {}",
                     Printable(settings_.uri.substr(0, settings_.uri.find('?')), 200));
}

void ContainerSource::Fetch(std::stop_token stop, Done<TemporaryKeys> done) {
  const auto token = AuthorizationToken(settings_);
  if (!token) return done(std::unexpected(token.error()));
  HttpRequest request;
  request.url = settings_.uri;
  request.headers = {{"accept", "application/json"}, {"user-agent", "modelfs"}};
  if (!token->empty()) request.headers.emplace_back("authorization", *token);
  request.connect_timeout = request.total_timeout = std::chrono::seconds(2);
  request.max_body_bytes = kMaxAnswer;
  request.stop = std::move(stop);
  SendRetrying(*transport_, *timer_, {}, std::move(request),
               [done = std::move(done)](Result<HttpResponse> outcome) mutable {
                 if (!outcome) return done(std::unexpected(std::move(outcome.error())));
                 if (outcome->status != 200) return done(Refused("it", outcome->status));
                 done(ParseKeysJson(outcome->body));
               });
}

struct InstanceSource::Session {
  std::stop_token stop;
  Done<TemporaryKeys> done;
  std::string token;
};

std::string InstanceSource::Describe() const {
  return fmt::format("the instance metadata service {}", settings_.uri);
}

void InstanceSource::Send(const SessionPtr& session, const char* method, const std::string& path,
                          Done<HttpResponse> done) {
  HttpRequest request;
  request.method = method;
  request.url = settings_.uri + path;
  request.headers = {{"user-agent", "modelfs"}};
  if (request.method == "PUT") {
    request.headers.emplace_back("x-aws-ec2-metadata-token-ttl-seconds", "21600");
  } else if (!session->token.empty()) {
    request.headers.emplace_back("x-aws-ec2-metadata-token", session->token);
  }
  request.connect_timeout = request.total_timeout = settings_.timeout;
  request.max_body_bytes = kMaxAnswer;
  request.stop = session->stop;
  SendRetrying(*transport_, *timer_, {.attempts = static_cast<int>(settings_.attempts)},
               std::move(request), std::move(done));
}

void InstanceSource::Finish(const SessionPtr& session, Result<TemporaryKeys> result) {
  if (result) {
    seen_.store(true);
  } else if (result.error().code == Errc::kTransient && !seen_.load()) {
    // Most machines are no instances of EC2.
    result = Fail(Errc::kDenied, result.error().what + settings_.where);
  }
  std::exchange(session->done, nullptr)(std::move(result));
}

void InstanceSource::Fetch(std::stop_token stop, Done<TemporaryKeys> done) {
  auto session = std::make_shared<Session>(std::move(stop), std::move(done));
  Send(session, "PUT", "/latest/api/token",
       [self = shared_from_this(), session](Result<HttpResponse> outcome) {
         self->OnToken(session, std::move(outcome));
       });
}

void InstanceSource::OnToken(const SessionPtr& session, Result<HttpResponse> outcome) {
  if (outcome && outcome->status == 200) {
    session->token = Trim(outcome->body);
    return AskRole(session);
  }
  const bool version_1 =
      outcome ? outcome->status == 403 || outcome->status == 404 || outcome->status == 405
              : outcome.error().what.contains("timed out");
  if (version_1 && settings_.version_1_allowed) return AskRole(session);
  if (outcome) return Finish(session, Refused("its token endpoint", outcome->status));
  Finish(session, std::unexpected(std::move(outcome.error())));
}

void InstanceSource::AskRole(const SessionPtr& session) {
  Send(session, "GET", std::string(kRoles),
       [self = shared_from_this(), session](Result<HttpResponse> outcome) {
         if (!outcome) return self->Finish(session, std::unexpected(std::move(outcome.error())));
         if (outcome->status == 404) {
           return self->Finish(
               session, Fail(Errc::kDenied, "this instance has no role" + self->settings_.where));
         }
         if (outcome->status != 200) {
           return self->Finish(session, Refused("its list of roles", outcome->status));
         }
         const std::string_view all = Trim(outcome->body);
         const std::string role(all.substr(0, all.find_first_of("\r\n")));
         const bool good =
             !role.empty() && role.size() <= 128 && std::ranges::all_of(role, [](unsigned char c) {
               return c > ' ' && c < 0x7f && c != '/' && c != '?' && c != '#';
             });
         if (!good) return self->Finish(session, Fail(Errc::kCorrupt, "it names no role"));
         self->AskKeys(session, role);
       });
}

void InstanceSource::AskKeys(const SessionPtr& session, const std::string& role) {
  Send(session, "GET", fmt::format("{}{}", kRoles, role),
       [self = shared_from_this(), session](Result<HttpResponse> outcome) {
         if (!outcome) return self->Finish(session, std::unexpected(std::move(outcome.error())));
         if (outcome->status != 200) {
           return self->Finish(session, Refused("its keys", outcome->status));
         }
         self->Finish(session, ParseKeysJson(outcome->body));
       });
}

}  // namespace modelfs::fetch
