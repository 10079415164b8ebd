#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "fs/tree/pending_switch.h"
#include "fs/tree/registry_catalog.h"
#include "index/cache.h"

namespace modelfs::fs {

/// Holds an alias back until the version that it moves to is in the cache: [promotion] warm =
/// "full".
///
///     served ──alias moves──► warming ──whole and verified──► the new version is served
///                                │
///                                └──failed──► the old one goes on; tried again after kRetry
///
/// Threads: any; downloads complete on the cache's threads. Lifetime: shared by its tree and the
/// downloads. Lock order: `mutex_` is a leaf.
class Promotions : public std::enable_shared_from_this<Promotions> {
 public:
  using CatalogPtr = std::shared_ptr<RegistryCatalog>;
  static constexpr std::chrono::minutes kRetry{5};

  struct Options {
    std::weak_ptr<index::Cache> cache;  ///< A download in flight must not hold it.
    std::string domain;                 ///< Of the registry, for what is kept.
    Timer* timer = nullptr;             ///< Borrowed: its clock alone.
  };
  explicit Promotions(Options options);

  /// Looks at what the registry says now; starts what has to be warmed.
  void Take(const CatalogPtr& catalog, const RegisteredModels& models) EXCLUDES(mutex_);
  /// The version to show for `alias`, which the registry says is `target`.
  std::uint64_t Served(const std::string& model, const std::string& alias,
                       std::uint64_t target) const EXCLUDES(mutex_);
  std::vector<PendingSwitch> List() const EXCLUDES(mutex_);

 private:
  using Key = std::pair<std::string, std::string>;  // Model, alias.
  struct Switch {
    std::uint64_t to = 0;
    bool running = false;
    Timer::Clock::time_point retry_at{};
    std::string failure;
    RegistryCatalog::FilesPtr files;
  };

  void Warm(const CatalogPtr& catalog, const Key& key, std::uint64_t to);
  void WarmFiles(const Key& key, std::uint64_t to, const RegistryCatalog::FilesPtr& files);
  void Verify(const Key& key, std::uint64_t to, const RegistryCatalog::FilesPtr& files);
  void End(const Key& key, std::uint64_t to, const Result<void>& result) EXCLUDES(mutex_);
  void Keep() const EXCLUDES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  std::map<Key, std::uint64_t> served_ GUARDED_BY(mutex_);
  std::map<Key, Switch> switches_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
