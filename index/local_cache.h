#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/cache.h"
#include "index/core.h"
#include "index/local_object.h"
#include "index/verifier.h"

namespace modelfs::index {

/// The Cache on a directory of this machine.
class LocalCache final : public Cache {
 public:
  explicit LocalCache(std::shared_ptr<Core> core);
  ~LocalCache() override;

  static Result<std::unique_ptr<LocalCache>> Make(const Options& options);

  std::shared_ptr<CachedObject> Get(const fetch::ObjectId& id,
                                    std::shared_ptr<fetch::Origin> origin) override;
  std::optional<ObjectStatus> Find(const fetch::ObjectId& id) const override;
  CacheStats Stats() const override;
  void Verify(std::vector<fetch::ObjectId> ids,
              std::move_only_function<bool(std::uint64_t bytes)> progress,
              Done<VerifyReport> done) override;

 private:
  /// Objects that stay open although nobody holds them.
  static constexpr std::size_t kRecent = 64;

  std::shared_ptr<LocalObject> Open(const fetch::ObjectId& id) EXCLUDES(mutex_);
  Result<void> Reconcile();
  Result<void> Rebuild();
  void Flush();

  const std::shared_ptr<Core> core_;
  /// Lock order: cache, then object.
  mutable Mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<LocalObject>> objects_ GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<LocalObject>> recent_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  Verifier verifier_;
};

}  // namespace modelfs::index
