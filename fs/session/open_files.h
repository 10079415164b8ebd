#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "fetch/base/mutex.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// The cached objects behind files that the kernel has open, by node id.
///
/// File handles carry no state, so that a successor process can serve reads of files that it never
/// saw opened: Find then opens by node id.
/// Threads: any.
class OpenFiles {
 public:
  explicit OpenFiles(std::shared_ptr<Tree> tree) : tree_(std::move(tree)) {}

  /// Errors: as Tree::Open.
  Result<std::shared_ptr<index::CachedObject>> Open(std::uint64_t id);
  Result<std::shared_ptr<index::CachedObject>> Find(std::uint64_t id);
  void Release(std::uint64_t id);

 private:
  struct File {
    std::shared_ptr<index::CachedObject> object;
    std::uint64_t opens = 0;
  };
  const std::shared_ptr<Tree> tree_;
  Mutex mutex_;
  std::unordered_map<std::uint64_t, File> files_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
