#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/origin.h"
#include "index/cache.h"

namespace modelfs::fs {

/// Fetches the shards of a model before they are opened. Once half of one has been read, its
/// readers take whole shards; then those that the folder's `*.index.json` names beside it follow,
/// one after the other, in the order of their names, for as long as somebody has one of them open.
///
///     read: |=== shard 1 ====>      |          ahead: | shard 2 ========> | shard 3 ==> |
///                        half ^
///
/// What an index names is only compared with the names in its own folder: nothing else is looked
/// up, whatever it says. What would have to push something out of the cache is not fetched.
///
/// Threads: any; most of it happens on the cache's `plan` and `open` threads. Lock order: `mutex_`
/// is a leaf, and so is that of a Run.
class ShardsAhead : public std::enable_shared_from_this<ShardsAhead> {
 public:
  using Clock = std::chrono::steady_clock;
  /// One file of a folder.
  struct File {
    std::string name;  ///< As the origin has it.
    fetch::ObjectId id;
    std::shared_ptr<fetch::Origin> origin;
  };
  /// The files of a folder for which IsOfInterest is true. Called on the `plan` thread.
  using Folder = std::function<std::vector<File>()>;

  explicit ShardsAhead(std::shared_ptr<index::Cache> cache) : cache_(std::move(cache)) {}

  /// Whether a file of this name may be a shard, or an index of shards.
  static bool IsOfInterest(std::string_view name);

  /// A file called `name` in `folder` was opened as `object`. `key`: names the folder.
  void Opened(std::string key, std::string_view name,
              const std::shared_ptr<index::CachedObject>& object, Folder folder) EXCLUDES(mutex_);

 private:
  class Run;
  static constexpr std::size_t kMostRuns = 64;

  void Taken(const std::string& key, const std::string& name,
             const std::shared_ptr<index::CachedObject>& reader, const Folder& folder)
      EXCLUDES(mutex_);

  const std::shared_ptr<index::Cache> cache_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Run>> runs_ GUARDED_BY(mutex_);  ///< By folder.
};

}  // namespace modelfs::fs
