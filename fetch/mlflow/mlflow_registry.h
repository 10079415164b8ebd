#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "fetch/base/mutex.h"
#include "fetch/mlflow/artifact_walk.h"
#include "fetch/mlflow/mlflow_client.h"
#include "fetch/mlflow/served_artifacts.h"
#include "fetch/mlflow/uri_resolver.h"
#include "fetch/registry.h"

namespace modelfs::fetch {

/// The registry of an MLflow server, 2.x or 3.x.
///
/// Where bytes come from depends on the artifact URI that a version resolves to:
///
///     s3://...                 directly, with credentials of our own; without, through the server
///     mlflow-artifacts:, http  through the server's artifact proxy
///     else (file:, gs:, ...)   through /model-versions/get-artifact; by ranges where it is a local
///     path
///
/// Threads, lifetime: as Registry. Lock order: `mutex_` is a leaf.
class MlflowRegistry final : public Registry, public std::enable_shared_from_this<MlflowRegistry> {
 public:
  struct Options {
    MlflowSettings settings;
    RetryingClient::Options http;
    std::string storage_ca_bundle;  ///< Of presigned URLs' hosts.
    /// Makes the origin of "s3://bucket/prefix" with our own credentials; fails with kDenied where
    /// there are none.
    std::function<Result<std::shared_ptr<Origin>>(const std::string& uri)> open_storage;
    /// Nobody named credentials: whatever goes wrong with those found, the server is asked instead.
    bool storage_is_a_guess = false;
  };
  explicit MlflowRegistry(Options options);
  ~MlflowRegistry() override;

  std::string Describe() const override;
  std::string Domain() const override { return servers_.registry->domain(); }
  void ListModels(Done<std::vector<RegisteredModel>> done) override;
  void ListVersions(std::string model, Done<std::vector<ModelVersion>> done) override;
  void GetManifest(std::string model, ModelVersion version, Done<VersionManifest> done) override;
  Result<std::shared_ptr<Origin>> Open(std::shared_ptr<const VersionManifest> manifest) override;
  void Probe(std::chrono::milliseconds deadline, Done<void> done) override;

 private:
  using ManifestPtr = std::shared_ptr<VersionManifest>;

  void Walk(const ManifestPtr& manifest, ListArtifacts list, Done<VersionManifest> done);
  void ListDirect(const ManifestPtr& manifest, Done<VersionManifest> done);
  void ListProxied(const ManifestPtr& manifest, Done<VersionManifest> done);
  void ListServed(const ManifestPtr& manifest, Done<VersionManifest> done);
  void ListLoggedModel(const ManifestPtr& manifest, const std::string& id, const std::string& path,
                       Done<VersionManifest> done);
  void ListRun(const ManifestPtr& manifest, const std::string& run_id, Done<VersionManifest> done);
  Result<std::shared_ptr<ServedArtifacts>> Proxy(const std::string& uri, std::string* path)
      EXCLUDES(mutex_);
  std::shared_ptr<ServedArtifacts> VersionFiles(const VersionManifest& manifest);
  std::shared_ptr<MlflowClient> ClientFor(const std::string& base_url) const;
  std::string What(const VersionManifest& manifest) const;

  const Options options_;
  const MlflowServers servers_;
  const std::shared_ptr<RetryingClient> storage_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<ServedArtifacts>> proxies_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fetch
