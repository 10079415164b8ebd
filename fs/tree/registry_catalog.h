#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"
#include "fetch/registry.h"
#include "fs/tree/refreshed.h"
#include "fs/tree/registry_records.h"
#include "fs/tree/version_files.h"
#include "index/record_store.h"

namespace modelfs::fs {

/// What is known of a registry: asked for when needed or by the clock, kept in the index, and used
/// on while the server is down.
///
///     models, aliases   every alias_poll, one request per 1,000 models
///     versions          when a model is looked into and what is known is older than listing_ttl
///     manifests         once per version that is ready, kept for ever
///
/// Threads: any; completions run inside the call, on the registry's threads or the timer's.
/// Lifetime: shared by its tree and requests in flight. The destructor of the tree calls Stop.
/// Lock order: `mutex_` is a leaf.
class RegistryCatalog : public std::enable_shared_from_this<RegistryCatalog> {
 public:
  using ModelsPtr = std::shared_ptr<const RegisteredModels>;
  using VersionsPtr = std::shared_ptr<const ModelVersions>;
  using FilesPtr = std::shared_ptr<const VersionFiles>;

  /// How new an answer must be.
  enum class Age : std::uint8_t {
    kUsual,   ///< As the polls and listing_ttl make it.
    kRecent,  ///< Asked for within the last two seconds: something is missing that may be new.
    kNow,     ///< Asked for from now on: somebody told us of a change.
  };

  struct Options {
    std::shared_ptr<fetch::Registry> registry;
    /// Gone or empty: nothing is kept. A request in flight must not hold the cache.
    std::weak_ptr<index::RecordStore> records;
    Timer* timer = nullptr;                               ///< Borrowed.
    std::function<double()> random = [] { return 0.5; };  ///< In [0, 1).
    std::chrono::milliseconds listing_ttl{std::chrono::seconds(60)};
    std::chrono::milliseconds alias_poll{std::chrono::seconds(30)};  ///< +- 20 %; 0: never.
    std::vector<std::string> models;  ///< Only models that match one of these globs; empty: all.
    /// After every answer about models and aliases, also an unchanged one. From any thread.
    std::function<void(const std::shared_ptr<RegistryCatalog>&, const ModelsPtr&)> on_models;
  };
  static std::shared_ptr<RegistryCatalog> Start(Options options);
  void Stop() { stop_.request_stop(); }

  fetch::Registry& registry() const { return *options_.registry; }
  const std::chrono::milliseconds& listing_ttl() const { return options_.listing_ttl; }

  void Models(Age age, Done<ModelsPtr> done);
  /// What is known without asking; null: nothing yet.
  ModelsPtr KnownModels() const { return models_->Known(); }
  void Versions(const std::string& model, Age age, Done<VersionsPtr> done);
  void Files(const std::string& model, const fetch::ModelVersion& version, Done<FilesPtr> done);
  /// What is known of it without asking, in this life or kept from another; null: nothing.
  FilesPtr KnownFiles(const std::string& model, const fetch::ModelVersion& version);
  /// The files of a manifest that another process had. Errors: as Registry::Open.
  Result<VersionFiles> OpenFiles(fetch::VersionManifest manifest) const;

  /// Manifests that were looked into in this life.
  std::vector<FilesPtr> LoadedFiles() const EXCLUDES(mutex_);

 private:
  using VersionKey = std::pair<std::string, std::pair<std::uint64_t, std::int64_t>>;

  explicit RegistryCatalog(Options options);
  void Begin();
  void SchedulePoll();
  Timer::Clock::time_point NotBefore(Age age, std::chrono::milliseconds usual) const;
  void KeepModels(const Result<ModelsPtr>& models);
  std::shared_ptr<Refreshed<ModelVersions>> VersionsOf(const std::string& model) EXCLUDES(mutex_);
  std::shared_ptr<Refreshed<VersionFiles>> FilesOf(const std::string& model,
                                                   const fetch::ModelVersion& version)
      EXCLUDES(mutex_);
  bool Wanted(const std::string& model) const;
  std::string Record(index::RecordKind kind, const std::string& key) const;
  void Keep(index::RecordKind kind, const std::string& key, std::string value) const;

  const Options options_;
  const std::string domain_;
  std::stop_source stop_;
  std::atomic<int> failures_{0};  // In a row.
  std::shared_ptr<Refreshed<RegisteredModels>> models_;
  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<Refreshed<ModelVersions>>> versions_ GUARDED_BY(mutex_);
  std::map<VersionKey, std::shared_ptr<Refreshed<VersionFiles>>> files_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
