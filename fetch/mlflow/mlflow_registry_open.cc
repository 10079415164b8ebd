// Where the bytes of a version come from, once its manifest is known.

#include <fmt/format.h>

#include <algorithm>

#include "fetch/base/percent.h"
#include "fetch/base/sha256.h"
#include "fetch/mlflow/artifact_routes.h"
#include "fetch/mlflow/artifact_uri.h"
#include "fetch/mlflow/mlflow_origin.h"
#include "fetch/mlflow/mlflow_registry.h"

namespace modelfs::fetch {
namespace {

// The server has this or has it not; asking often makes it no better.
constexpr RetryOptions kAskOnce{.max_attempts = 2};

bool IsLocal(const std::string& uri) {
  const std::string scheme = UriScheme(uri);
  return scheme.empty() || scheme == "file";
}

std::string Encoded(std::string_view route, std::string_view path) {
  return fmt::format("{}/{}", route, PercentEncode(path, Slash::kKeep));
}

}  // namespace

Result<std::shared_ptr<ServedArtifacts>> MlflowRegistry::Proxy(const std::string& uri,
                                                               std::string* path) {
  const std::string& tracking = servers_.tracking->base_url();
  std::string base = tracking;
  if (UriScheme(uri) == "mlflow-artifacts") {
    auto proxied = ProxiedUri::Parse(uri);
    if (!proxied) return std::unexpected(std::move(proxied.error()));
    *path = std::move(proxied->path);
    if (!proxied->authority.empty()) {
      // The scheme and the path before "/api" are the tracking server's, as in MLflow's client.
      const std::string own = UrlOrigin(tracking);
      base = fmt::format("{}://{}{}", UriScheme(tracking), proxied->authority,
                         tracking.substr(own.size()));
    }
  } else {
    const std::size_t at = uri.find(kProxiedArtifacts);
    if (at == std::string::npos) {
      return Fail(Errc::kInvalid,
                  fmt::format("artifact URI '{}': a web server that is no artifact proxy of MLflow "
                              "cannot be listed",
                              Printable(uri)));
    }
    base = uri.substr(0, at);
    // It is used as a URL; what it holds is raw on the way from the server's database.
    *path = PercentDecode(uri.substr(std::min(at + kProxiedArtifacts.size() + 1, uri.size())),
                          Plus::kPlus);
  }
  MutexLock lock(mutex_);
  auto& proxy = proxies_[base];
  if (proxy) return proxy;
  auto client = base == tracking ? servers_.tracking : ClientFor(base);
  auto presign = [client](const std::string& artifact, Done<nlohmann::json> done) {
    client->GetPath(Encoded(kProxiedPresigned, artifact), {}, kAskOnce, std::move(done));
  };
  proxy = std::make_shared<ServedArtifacts>(ServedArtifacts::Options{
      .client = client,
      .url_path = [](const std::string& artifact) { return Encoded(kProxiedArtifacts, artifact); },
      .presign = std::move(presign),
      .storage = storage_,
      .storage_ca_bundle = options_.storage_ca_bundle,
      .proxy = options_.settings.proxy});
  return proxy;
}

std::shared_ptr<ServedArtifacts> MlflowRegistry::VersionFiles(const VersionManifest& manifest) {
  auto url_path = [name = manifest.model,
                   version = std::to_string(manifest.version.number)](const std::string& path) {
    return "/model-versions/get-artifact?" +
           EncodeQuery({{"name", name}, {"version", version}, {"path", path}});
  };
  ServedArtifacts::Options options{.client = servers_.registry,
                                   .url_path = std::move(url_path),
                                   .presign = nullptr,
                                   .ranges = IsLocal(manifest.uri),
                                   .storage = storage_,
                                   .storage_ca_bundle = options_.storage_ca_bundle,
                                   .proxy = options_.settings.proxy};
  if (manifest.route.starts_with(kRunRoute)) {
    const std::string rest = manifest.route.substr(kRunRoute.size());
    const std::size_t space = std::min(rest.find(' '), rest.size());
    options.presign = [client = servers_.tracking, run = rest.substr(0, space),
                       top = rest.substr(std::min(space + 1, rest.size()))](
                          const std::string& path, Done<nlohmann::json> done) {
      client->Post("artifacts/presigned-download-url",
                   {{"run_id", run}, {"path", JoinPath(top, path)}}, std::move(done));
    };
  }
  return std::make_shared<ServedArtifacts>(std::move(options));
}

Result<std::shared_ptr<Origin>> MlflowRegistry::Open(
    std::shared_ptr<const VersionManifest> manifest) {
  MlflowOrigin::Options options{.manifest = manifest,
                                .server = Describe(),
                                .domain = Domain(),
                                .direct = nullptr,
                                .served = nullptr,
                                .served_path = {}};
  if (manifest->route == kDirectRoute) {
    auto storage = options_.open_storage(manifest->uri);
    if (!storage) return std::unexpected(std::move(storage.error()));
    options.direct = *std::move(storage);
    // Who may read there is somebody else than who may ask the registry.
    const std::string there = options.direct->Pin("", {.name = "x"}).domain;
    options.domain = Hex(Sha256(fmt::format("{} {}", options.domain, there)));
  } else if (manifest->route == kProxyRoute) {
    auto proxy = Proxy(manifest->uri, &options.served_path);
    if (!proxy) return std::unexpected(std::move(proxy.error()));
    options.served = *std::move(proxy);
  } else if (manifest->route == kServedRoute || manifest->route.starts_with(kRunRoute)) {
    options.served = VersionFiles(*manifest);
  } else {
    return Fail(Errc::kInvalid, fmt::format("{}: unknown route '{}'", What(*manifest),
                                            Printable(manifest->route, 64)));
  }
  return std::make_shared<MlflowOrigin>(std::move(options));
}

void MlflowRegistry::Probe(std::chrono::milliseconds deadline, Done<void> done) {
  const RetryOptions retry{.max_attempts = 3, .deadline = options_.http.timer->Now() + deadline};
  servers_.registry->GetPath(
      "/api/2.0/mlflow/registered-models/search", {{"max_results", "1"}}, retry,
      [done = std::move(done)](Result<nlohmann::json> answer) mutable {
        if (answer) return done({});
        if (answer.error().code == Errc::kNotFound) {
          answer.error().what += ": there is no model registry at this address";
        }
        done(std::unexpected(std::move(answer.error())));
      });
}

}  // namespace modelfs::fetch
