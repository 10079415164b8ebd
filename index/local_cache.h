#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/cache.h"
#include "index/core.h"
#include "index/evictor.h"
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
  void Repair(std::vector<RepairItem> items,
              std::move_only_function<bool(std::uint64_t bytes)> progress,
              Done<VerifyReport> done) override;
  void SetLimits(CacheLimits limits) override;
  void SetHedging(bool on) override { core_->hedger->SetEnabled(on); }
  void Pin(std::vector<fetch::ObjectId> ids, Done<void> done) override;
  void Unpin(std::vector<fetch::ObjectId> ids, Done<void> done) override;
  void Evict(std::vector<fetch::ObjectId> ids, Done<EvictReport> done) override;
  void WhenGone(const fetch::ObjectId& id, std::move_only_function<void()> listener) override;
  RecordStore& records() override { return *core_->records; }

 private:
  enum class Pinning : std::uint8_t { kPin, kUnpin };
  /// Objects that stay open although nobody holds them.
  static constexpr std::size_t kRecent = 64;

  /// Whether an object that nobody holds stays open for a while.
  enum class Keep : std::uint8_t { kNo, kYes };

  std::shared_ptr<LocalObject> Open(const fetch::ObjectId& id, Keep keep) EXCLUDES(mutex_);
  std::shared_ptr<LocalObject> OpenKnown(const std::string& digest) EXCLUDES(mutex_);
  std::vector<std::shared_ptr<LocalObject>> Alive() const EXCLUDES(mutex_);
  void SetPinned(std::vector<fetch::ObjectId> ids, Pinning pinning, Done<void> done);
  EvictReport EvictNow(const std::vector<std::string>& digests);
  Result<void> Reconcile();
  void Recount(const ObjectRecord& record, bool recount);
  void Forget(const ObjectRecord& record);
  std::uint64_t BlocksOf(const ObjectRecord& record) const;
  void AdoptUnknown();
  void AdoptFiles(const std::string& digest);
  Result<std::uint64_t> Adopt(const MapFile& map);
  Result<void> Rebuild();
  void Flush();

  const std::shared_ptr<Core> core_;
  /// Lock order: cache, then object.
  mutable Mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<LocalObject>> objects_ GUARDED_BY(mutex_);
  std::size_t prune_at_ GUARDED_BY(mutex_) = 4 * kRecent;  ///< Entries that make a look worth it.
  std::deque<std::shared_ptr<LocalObject>> recent_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  Verifier verifier_;
};

}  // namespace modelfs::index
