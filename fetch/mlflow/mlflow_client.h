#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/http/http_auth.h"
#include "fetch/http/retrying_client.h"
#include "fetch/mlflow/mlflow_settings.h"

namespace modelfs::fetch {

/// Speaks to one MLflow server as MLflow's own client does: address, login, workspace, JSON.
///
/// The login goes to this server and nowhere else: whoever asks another host makes its own request.
/// Threads: any; completions run on the transport's or the timer's threads.
/// Lifetime: shared; transport and timer outlive it.
/// Source: facts/mlflow-and-s3.md, sections 1 and 3.
class MlflowClient : public std::enable_shared_from_this<MlflowClient> {
 public:
  using Query = std::vector<std::pair<std::string, std::string>>;

  struct Options {
    std::string base_url;  ///< "http://host:5000[/prefix]", no trailing slash.
    MlflowSettings settings;
    RetryingClient::Options http;
    RetryOptions retry{.patience = std::chrono::seconds(15)};
  };
  explicit MlflowClient(Options options);
  ~MlflowClient();

  /// Asks "/api/2.0/mlflow/PATH"; query values are raw.
  /// Errors: kNotFound, kDenied, kInvalid (the server refuses what was asked), kCorrupt (no JSON
  /// object, or one of more than 64 MiB), kTransient, kCancelled.
  void Get(std::string_view path, const Query& query, Done<nlohmann::json> done);
  void Post(std::string_view path, const nlohmann::json& body, Done<nlohmann::json> done);
  /// The same for any path of the server, e.g. "/api/2.0/mlflow-artifacts/artifacts", with a limit
  /// of its own.
  void GetPath(std::string_view path, const Query& query, const RetryOptions& retry,
               Done<nlohmann::json> done);

  /// A GET of "PATH" of this server with its login; `path` is encoded.
  HttpRequest Request(std::string_view path) const;

  RetryingClient& http() const { return *http_; }
  const std::string& base_url() const { return options_.base_url; }
  const RetryOptions& retry() const { return options_.retry; }
  /// Hash of server and login: who may see what was fetched by it.
  const std::string& domain() const { return domain_; }
  void Stop() { http_->Stop(); }

 private:
  void Send(HttpRequest request, std::string what, const RetryOptions& retry,
            Done<nlohmann::json> done);

  const Options options_;
  const std::shared_ptr<RetryingClient> http_;
  const std::unique_ptr<HttpAuth> login_file_;  // Null: the login stays as it is.
  std::string authorization_;                   // Header value, or "".
  std::string domain_;
};

/// "a=b&c=d", encoded.
std::string EncodeQuery(const MlflowClient::Query& query);

}  // namespace modelfs::fetch
