#include <spdlog/spdlog.h>

#include <utility>

#include "fs/app.h"
#include "fs/http/bearer_token.h"

// App, part 5: what MLflow tells us by itself.

namespace modelfs::fs {
namespace {

HttpAnswer Refuse(int status, std::string_view why) {
  spdlog::warn("webhook.refused status={} why=\"{}\"", status, why);
  return {.status = status, .body = "{\"accepted\": false}\n"};
}

}  // namespace

// A genuine call only says that something changed: what, is asked of the registry itself.
HttpAnswer App::TakeWebhook(const HttpRequest& request) {
  const std::string& file = options_.daemon.webhook_secret_file;
  if (file.empty()) return Refuse(404, "no webhook_secret_file is configured");
  const auto secret = ReadToken(file);
  if (!secret) return Refuse(503, secret.error().what);
  const std::string id = request.header("X-MLflow-Delivery-Id").value_or("");
  const std::string timestamp = request.header("X-MLflow-Timestamp").value_or("");
  const std::string signature = request.header("X-MLflow-Signature").value_or("");
  switch (webhook_.Check(
      {.id = id, .timestamp = timestamp, .signature = signature, .body = request.body}, *secret,
      MlflowWebhook::Clock::now())) {
    case MlflowWebhook::Verdict::kForged: return Refuse(401, "the signature is wrong");
    case MlflowWebhook::Verdict::kStale: return Refuse(401, "the time is not of now");
    case MlflowWebhook::Verdict::kDuplicate: return {.body = "{\"accepted\": true}\n"};
    case MlflowWebhook::Verdict::kNew: break;
  }
  std::vector<std::shared_ptr<Tree>> trees;
  {
    MutexLock lock(mutex_);
    for (const auto& [session, served] : mounts_) trees.push_back(served.tree);
  }
  spdlog::info("webhook.accepted mounts={}", trees.size());
  for (const auto& tree : trees) tree->RefreshRegistries();
  return {.body = "{\"accepted\": true}\n"};
}

}  // namespace modelfs::fs
