#include "fetch/mlflow/mlflow_client.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"
#include "fetch/http/curl_error.h"
#include "fetch/mlflow/mlflow_error.h"

namespace modelfs::fetch {
namespace {

constexpr std::string_view kApi = "/api/2.0/mlflow/";
constexpr std::size_t kMaxAnswerBytes = 64u << 20;

std::string Base64(std::string_view text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()),
                                     static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

class JsonCall final : public RequestOperation {
 public:
  JsonCall(HttpRequest request, std::string what, std::string server, Done<nlohmann::json> done)
      : request_(std::move(request)),
        what_(std::move(what)),
        server_(std::move(server)),
        done_(std::move(done)) {}

  std::string Describe() const override { return what_; }
  HttpRequest NextAttempt() override { return request_; }

  HttpVerdict Judge(const Result<HttpResponse>& outcome) override {
    if (!outcome) return {};
    if (outcome->status < 200 || outcome->status >= 300) {
      return JudgeMlflowStatus(what_, server_, *outcome, MlflowRoute::kApi);
    }
    json_ = nlohmann::json::parse(outcome->body, nullptr, false);
    if (json_.is_object()) return {.kind = HttpVerdict::Kind::kSuccess};
    return {.kind = HttpVerdict::Kind::kFail,
            .error = {Errc::kCorrupt,
                      fmt::format("{}: the answer is no JSON object but '{}': is {} an MLflow "
                                  "server?",
                                  what_, Printable(outcome->body, 60), server_)}};
  }

  void Finish(Result<void> result) override {
    auto done = std::exchange(done_, nullptr);
    if (!result) return done(std::unexpected(std::move(result.error())));
    done(std::move(json_));
  }

 private:
  const HttpRequest request_;
  const std::string what_;
  const std::string server_;
  Done<nlohmann::json> done_;
  nlohmann::json json_;
};

std::unique_ptr<HttpAuth> LoginFile(const MlflowSettings& settings) {
  if (settings.auth_file.empty() && settings.token_file.empty()) return nullptr;
  return std::make_unique<HttpAuth>(
      HttpAuth::Options{.basic_file = settings.auth_file, .bearer_file = settings.token_file});
}

}  // namespace

std::string EncodeQuery(const MlflowClient::Query& query) {
  std::string out;
  for (const auto& [name, value] : query) {
    if (!out.empty()) out.push_back('&');
    out.append(PercentEncode(name, Slash::kEncode)).append("=");
    out.append(PercentEncode(value, Slash::kEncode));
  }
  return out;
}

MlflowClient::MlflowClient(Options options)
    : options_(std::move(options)),
      http_(std::make_shared<RetryingClient>(options_.http)),
      login_file_(LoginFile(options_.settings)) {
  const MlflowSettings& login = options_.settings;
  std::string principal = "anonymous";
  if (login_file_) {
    principal = login_file_->Principal();
  } else if (!login.username.empty() && !login.password.empty()) {
    authorization_ = "Basic " + Base64(login.username + ":" + login.password);
    principal = "user:" + login.username;
  } else if (!login.token.empty()) {
    authorization_ = "Bearer " + login.token;
    principal = "token:" + login.token;
  }
  // Lengths first, so that no two of these run into each other.
  domain_ =
      Hex(Sha256(fmt::format("mlflow {} {} {} {} {}", options_.base_url.size(), options_.base_url,
                             principal.size(), principal, login.workspace)));
}

MlflowClient::~MlflowClient() { http_->Stop(); }

HttpRequest MlflowClient::Request(std::string_view path) const {
  HttpRequest request;
  request.url = options_.base_url;
  request.url.append(path);
  request.headers.emplace_back("user-agent", "modelfs");
  request.headers.emplace_back("accept", "*/*");
  if (login_file_) {
    // Without a file that can be read the server refuses, and says whom it has not recognised.
    const auto header = login_file_->Header();
    if (header) {
      request.headers.emplace_back("authorization", *header);
    } else {
      spdlog::warn("mlflow.login_unreadable error=\"{}\"", header.error().what);
    }
  } else if (!authorization_.empty()) {
    request.headers.emplace_back("authorization", authorization_);
  }
  if (!options_.settings.workspace.empty()) {
    request.headers.emplace_back("x-mlflow-workspace", options_.settings.workspace);
  }
  request.ca_bundle = options_.settings.ca_bundle;
  request.client_certificate = options_.settings.client_certificate;
  request.insecure_tls = options_.settings.insecure_tls;
  options_.settings.proxy.Apply(request);
  return request;
}

void MlflowClient::Get(std::string_view path, const Query& query, Done<nlohmann::json> done) {
  GetPath(fmt::format("{}{}", kApi, path), query, options_.retry, std::move(done));
}

void MlflowClient::GetPath(std::string_view path, const Query& query, const RetryOptions& retry,
                           Done<nlohmann::json> done) {
  HttpRequest request = Request(path);
  std::string what = DescribeRequest("GET", request.url);
  for (const auto& [name, value] : query) {
    if (name != "page_token") what += fmt::format(" {}={}", name, Printable(value, 128));
  }
  if (!query.empty()) request.url.append("?").append(EncodeQuery(query));
  Send(std::move(request), std::move(what), retry, std::move(done));
}

void MlflowClient::Post(std::string_view path, const nlohmann::json& body,
                        Done<nlohmann::json> done) {
  HttpRequest request = Request(fmt::format("{}{}", kApi, path));
  request.method = "POST";
  request.headers.emplace_back("content-type", "application/json");
  request.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string what = DescribeRequest("POST", request.url);
  Send(std::move(request), std::move(what), options_.retry, std::move(done));
}

void MlflowClient::Send(HttpRequest request, std::string what, const RetryOptions& retry,
                        Done<nlohmann::json> done) {
  request.max_body_bytes = kMaxAnswerBytes;
  // A registry of many models takes its database a while.
  request.low_speed_time = std::chrono::seconds(30);
  http_->Run(std::make_shared<JsonCall>(std::move(request), std::move(what), options_.base_url,
                                        std::move(done)),
             retry);
}

}  // namespace modelfs::fetch
