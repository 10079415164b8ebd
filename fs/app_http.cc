#include <algorithm>
#include <utility>

#include "fs/app.h"
#include "fs/control/wire.h"
#include "fs/daemon/metrics_report.h"

// App, part 3: the admin server.

namespace modelfs::fs {
namespace {

HttpAnswer Text(int status, std::string body) {
  return {.status = status, .body = std::move(body), .content_type = "text/plain; charset=utf-8"};
}

}  // namespace

Result<void> App::StartHttp() {
  const DaemonSpec& daemon = options_.daemon;
  if (daemon.http.empty()) return {};
  using Request = HttpRequest;
  std::vector<HttpRoute> routes;
  routes.push_back({.method = "GET",
                    .path = "/healthz",
                    .access = HttpAccess::kOpen,
                    .serve = [](const Request&) { return Text(200, "ok\n"); }});
  routes.push_back({.method = "GET",
                    .path = "/readyz",
                    .access = HttpAccess::kOpen,
                    .serve = [this](const Request&) { return Ready(); }});
  routes.push_back(
      {.method = "GET", .path = "/metrics", .serve = [this](const Request&) { return Metrics(); }});
  routes.push_back({.method = "GET", .path = "/api/v1/status", .serve = [this](const Request&) {
                      return IsOpen() ? HttpAnswer{.body = Dump(Status())} : Ready();
                    }});
  routes.push_back({.method = "POST",
                    .path = "/webhooks/mlflow",
                    .access = HttpAccess::kOpen,
                    .serve = [this](const Request& request) { return TakeWebhook(request); }});
  auto server = HttpServer::Start(
      {.address = daemon.http, .token_file = daemon.http_token_file, .routes = std::move(routes)});
  if (!server) return std::unexpected(server.error());
  http_ = *std::move(server);
  http_address_ = http_->address();
  return {};
}

bool App::IsOpen() const {
  MutexLock lock(mutex_);
  return opened_ && *opened_;
}

HttpAnswer App::Ready() const {
  MutexLock lock(mutex_);
  if (!opened_) return Text(503, "the cache is being opened\n");
  if (!*opened_) return Text(503, "the cache cannot be opened\n");
  if (stopping_.stop_requested()) return Text(503, "ending\n");
  if (mounts_.empty()) return Text(503, "nothing is mounted\n");
  return Text(200, "ready\n");
}

HttpAnswer App::Metrics() {
  MetricsInput input{.uptime = std::chrono::steady_clock::now() - started_,
                     .supervised = options_.broker->connected()};
  if (IsOpen()) input.cache = cache_->Stats();
  std::vector<std::pair<std::string, std::shared_ptr<Tree>>> trees;
  {
    MutexLock lock(mutex_);
    input.reloads = reloads_;
    input.failed_reloads = failed_reloads_;
    for (const auto& [id, served] : mounts_) {
      input.mounts.push_back({.mountpoint = served.spec.mountpoint,
                              .parked_requests = served.session->Parked(),
                              .config_rejected = !served.config_problem.empty()});
      trees.emplace_back(served.spec.mountpoint, served.tree);
    }
  }
  for (std::size_t i = 0; i < trees.size(); ++i) input.mounts[i].listed = trees[i].second->Listed();
  if (input.cache) input.jobs_running = jobs_->Running();
  return {.body = MetricsPage(input), .content_type = "text/plain; version=0.0.4; charset=utf-8"};
}

}  // namespace modelfs::fs
