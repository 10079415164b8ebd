#include "fetch/mlflow/mlflow_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fetch/base/percent.h"
#include "fetch/base/text.h"
#include "fetch/s3/s3_error.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kMaxMessage = 200;
constexpr std::size_t kMaxErrorBody = 64 << 10;  // More is no error document of MLflow.

bool OneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, word) != words.end();
}

std::string Field(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return {};
  return found->get<std::string>();
}

struct Kind {
  Errc code;
  std::optional<RetryKind> retry;
};

Kind Classify(int status, const std::string& code, MlflowRoute route) {
  if (OneOf(code, {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})) return {Errc::kNotFound, {}};
  switch (status) {
    case 401:
    case 403: return {Errc::kDenied, {}};
    case 404: return {Errc::kNotFound, {}};
    case 408: return {Errc::kTransient, RetryKind::kTransient};
    case 429: return {Errc::kTransient, RetryKind::kThrottling};
    case 501: return {Errc::kInvalid, {}};
    case 500:
      // A file that is not there is a 500 on servers before 3.15; asking again makes it no better.
      if (route == MlflowRoute::kArtifact) return {Errc::kTransient, {}};
      return {Errc::kTransient, RetryKind::kTransient};
    case 503:
      // "--no-serve-artifacts" answers so, and always will.
      if (route == MlflowRoute::kArtifact) return {Errc::kTransient, {}};
      return {Errc::kTransient, RetryKind::kThrottling};
    case 502:
    case 504: return {Errc::kTransient, RetryKind::kTransient};
    default: break;
  }
  return {Errc::kInvalid, {}};
}

std::string Explain(int status, const MlflowError& error, std::string_view server) {
  if (status == 401) {
    return fmt::format(
        "{} does not take this login: check MLFLOW_TRACKING_USERNAME and "
        "MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN or ~/.mlflow/credentials",
        server);
  }
  if (status >= 300 && status < 400) {
    return fmt::format(
        "{} answers with a redirect, which is not followed: give the address that "
        "it leads to",
        server);
  }
  if (error.message.empty() && status >= 500) return fmt::format("{} fails", server);
  return error.message;
}

}  // namespace

MlflowError ParseMlflowError(const HttpResponse& response) {
  MlflowError out;
  if (response.body.size() > kMaxErrorBody) return out;
  const std::string_view body = Trim(response.body);
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object()) {
    out.code = Printable(Field(json, "error_code"), 64);
    out.message = Field(json, "message");
    if (out.message.empty()) out.message = Field(json, "detail");
  } else if (!body.starts_with('<')) {
    out.message = body;
  }
  out.message = Printable(Trim(out.message), kMaxMessage);
  return out;
}

HttpVerdict JudgeMlflowStatus(std::string_view operation, std::string_view server,
                              const HttpResponse& response, MlflowRoute route) {
  const MlflowError error = ParseMlflowError(response);
  const Kind kind = Classify(response.status, error.code, route);
  std::string what = fmt::format("{}: HTTP {}", operation, response.status);
  if (!error.code.empty()) what.append(" ").append(error.code);
  if (const std::string why = Explain(response.status, error, server); !why.empty()) {
    what.append(": ").append(why);
  }
  return {.kind = HttpVerdict::Kind::kFail,
          .error = {kind.code, std::move(what)},
          .retry = kind.retry,
          .server_asks = ServerAsksToWait(response)};
}

}  // namespace modelfs::fetch
