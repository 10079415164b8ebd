#include "index/local_cache.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "index/shared/shared_tier.h"

namespace modelfs::index {
namespace {

/// What is kept for who follows a download: what a link of 4 Gbit/s carries in a round trip of
/// 50 ms, twice.
constexpr std::uint64_t kUnreadBytes = std::uint64_t{48} << 20;

}  // namespace

// By value: the seam leaves it to us whether to keep them.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
Result<std::unique_ptr<Cache>> Cache::Open(Options options) {
  auto cache = LocalCache::Make(options);
  if (!cache) return std::unexpected(std::move(cache.error()));
  return std::unique_ptr<Cache>(std::move(*cache));
}

LocalCache::LocalCache(std::shared_ptr<Core> core) : core_(std::move(core)), verifier_(core_) {}

Result<std::unique_ptr<LocalCache>> LocalCache::Make(const Options& options) {
  auto tier = LocalTier::Open(options.directory, options.chunk_size_bytes,
                              options.direct_writes ? LocalTier::DirectWrites::kWhereItWorks
                                                    : LocalTier::DirectWrites::kOff);
  if (!tier) return std::unexpected(std::move(tier.error()));
  auto disk = MakeDiskIo(options.io_backend);
  if (!disk) return std::unexpected(std::move(disk.error()));
  auto core = std::make_shared<Core>(std::move(*tier), options.faults, options.timer);
  core->disk = std::move(*disk);
  if (const auto& trouble = core->tier.trouble()) core->health.Degrade(*trouble);
  const auto index_directory =
      options.index_directory.empty() ? options.directory / "index" : options.index_directory;
  auto db = IndexDb::Open(
      index_directory,
      [weak = std::weak_ptr(core)](const Error& error) {
        if (const auto c = weak.lock()) c->problems.Note("index.write_failed", error);
      },
      LmdbStore::kFirstMapBytes, options.faults);
  if (!db) {
    return Fail(db.error().code, fmt::format("cache index {}: {}; choose another with --index",
                                             index_directory.string(), db.error().what));
  }
  core->db = std::move(*db);
  core->records =
      std::make_unique<LmdbRecords>(*core->db, [weak = std::weak_ptr(core)](const Error& error) {
        if (const auto c = weak.lock()) c->problems.Note("index.read_failed", error);
      });
  if (options.shared) {
    core->shared = shared::SharedTier::Open(
        *options.shared, static_cast<std::uint32_t>(core->tier.chunk_size_bytes()), options.faults);
  }
  core->buffers = std::make_shared<BufferPool>(
      core->tier.chunk_size_bytes(), options.memory_bytes,
      [opener = core->opener](TaskThread::Task task) { opener->Post(std::move(task)); },
      [weak = std::weak_ptr(core)] {
        if (const auto c = weak.lock()) c->loader.RoomAgain();
      },
      [weak = std::weak_ptr(core)] {
        if (const auto c = weak.lock()) c->unread.Clear();
      });
  core->unread.SetLimit(std::min<std::size_t>(core->buffers->limit() / 8,
                                              kUnreadBytes / core->tier.chunk_size_bytes()));
  auto cache = std::make_unique<LocalCache>(core);
  core->space->SetLimits(options.limits);
  auto ready = core->db->needs_rebuild() ? cache->Rebuild() : cache->Reconcile();
  if (!ready) return std::unexpected(std::move(ready.error()));
  core->evictor = std::make_unique<Evictor>(
      *core, Evictor::Options{
                 .open = [raw = cache.get()](const std::string& d) { return raw->OpenKnown(d); },
                 .alive = [raw = cache.get()] { return raw->Alive(); },
                 .tick = options.check_interval});
  spdlog::info("cache.open directory={} objects={} bytes={} io={}", options.directory.string(),
               core->space->totals().objects, core->counters.cached_bytes.load(),
               core->disk->name());
  return cache;
}

void LocalCache::Flush() {
  struct State {
    Mutex mutex;
    CondVar condition;
    bool done GUARDED_BY(mutex) = false;
  };
  auto state = std::make_shared<State>();
  core_->db->Flush([state](const Result<void>&) {
    const MutexLock lock(state->mutex);
    state->done = true;
    state->condition.NotifyAll();
  });
  const MutexLock lock(state->mutex);
  while (!state->done) state->condition.Wait(state->mutex);
}

LocalCache::~LocalCache() {
  core_->closing = true;
  core_->loader.Close();
  core_->hedger->Close();
  std::vector<std::shared_ptr<LocalObject>> objects;
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    for (auto& [digest, weak] : objects_) {
      if (auto object = weak.lock()) objects.push_back(std::move(object));
    }
  }
  for (const auto& object : objects) object->Shutdown();
  core_->buffers->Close();
  if (core_->shared) core_->shared->Stop();
  verifier_.Stop();
  core_->summer->Stop();
  core_->planner->Stop();
  core_->sealer->Stop();
  if (core_->evictor) core_->evictor->Stop();
  // From where bytes come to where they go: each stage may still feed the next.
  core_->opener->Stop();
  Flush();
  core_->disk->Stop();
  for (const auto& object : objects) object->MarkClean();
  core_->db->Stop();
}

std::shared_ptr<LocalObject> LocalCache::Open(const fetch::ObjectId& id, Keep keep) {
  std::string digest = id.Digest();
  std::shared_ptr<LocalObject> object;
  std::shared_ptr<LocalObject> dropped;  // Its destructor must not run under the lock.
  bool fresh = false;
  bool closed = false;
  {
    const MutexLock lock(mutex_);
    auto& slot = objects_[digest];
    object = slot.lock();
    if (!object) {
      object = std::make_shared<LocalObject>(core_, id, std::move(digest));
      slot = object;
      fresh = true;
      if (keep == Keep::kYes) recent_.push_back(object);
      if (recent_.size() > kRecent) {
        dropped = std::move(recent_.front());
        recent_.pop_front();
      }
      if (objects_.size() > prune_at_) {
        std::erase_if(objects_, [](const auto& entry) { return entry.second.expired(); });
        prune_at_ = std::max(4 * kRecent, 2 * objects_.size());
      }
    }
    closed = closed_;
  }
  if (fresh && !core_->opener->Post([object] { object->Load(); })) object->Shutdown();
  if (closed) object->Shutdown();
  return object;
}

std::shared_ptr<CachedObject> LocalCache::Get(const fetch::ObjectId& id,
                                              std::shared_ptr<fetch::Origin> origin) {
  const auto object = Open(id, Keep::kYes);
  object->SetOrigin(std::move(origin));
  return object->Hold();
}

std::optional<ObjectStatus> LocalCache::Find(const fetch::ObjectId& id) const {
  const std::string digest = id.Digest();
  std::shared_ptr<LocalObject> object;
  {
    const MutexLock lock(mutex_);
    if (const auto it = objects_.find(digest); it != objects_.end()) object = it->second.lock();
  }
  if (object && object->loaded()) {  // Until then it seems to be empty.
    ObjectStatus status = object->Status();
    if (status.cached_bytes > 0 || status.pinned) return status;
  }
  // The index is a batch behind: whether and how much is there, `space` knows.
  const auto known = core_->space->Find(digest);
  if (!known || (known->present_bytes == 0 && !known->pinned)) return std::nullopt;
  const auto record = core_->db->FindObject(digest).value_or(std::nullopt);
  const bool whole = known->present_bytes == id.size_bytes;
  return ObjectStatus{.id = id,
                      .cached_bytes = known->present_bytes,
                      .whole = whole,
                      .verified = whole && record ? record->verified : Verified::kNo,
                      .pinned = known->pinned};
}

void LocalCache::WhenGone(const fetch::ObjectId& id, std::move_only_function<void()> listener) {
  core_->gone.Add(id.Digest(), std::move(listener));
}

CacheStats LocalCache::Stats() const {
  const Counters& c = core_->counters;
  CacheStats s;
  s.chunk_size_bytes = core_->tier.chunk_size_bytes();
  s.cached_bytes = c.cached_bytes;
  s.hit_bytes = c.hit_bytes;
  s.miss_bytes = c.miss_bytes;
  if (core_->shared) s.shared = core_->shared->Stats();
  s.fetched_bytes = c.fetched_bytes;
  s.fetched_bytes -= std::min(s.fetched_bytes, s.shared.read_bytes);
  s.fetch_requests = c.fetch_requests;
  s.fetches_in_flight = c.fetches_in_flight;
  s.hedges = core_->hedger->sent();
  s.hedges_won = core_->hedger->won();
  s.hedge_wasted_bytes = core_->hedger->wasted_bytes();
  s.fetch_bytes_per_second = core_->fetch_rate.PerSecond();
  s.buffer_bytes = core_->buffers->used_bytes();
  s.buffer_limit_bytes = core_->buffers->limit() * core_->buffers->buffer_bytes();
  s.quarantined_chunks = c.quarantined_chunks;
  s.uncached_writes = c.uncached_writes;
  const CacheLimits limits = core_->space->limits();
  s.limit_bytes = limits.size_bytes;
  s.free_floor_bytes = limits.free_floor_bytes;
  const Space::Totals totals = core_->space->totals();
  s.objects = totals.objects;
  s.allocated_bytes = totals.allocated_bytes;
  s.pinned_objects = totals.pinned_objects;
  s.pinned_bytes = totals.pinned_bytes;
  s.evicted_objects = c.evicted_objects;
  s.evicted_bytes = c.evicted_bytes;
  s.reads_through = c.reads_through;
  s.health = core_->health.degraded() ? Health::kDegraded : Health::kOk;
  s.health_reason = core_->health.reason();
  s.io_backend = core_->disk->name();
  s.last_problem = core_->problems.last();
  return s;
}

void LocalCache::Verify(std::vector<fetch::ObjectId> ids,
                        std::move_only_function<bool(std::uint64_t bytes)> progress,
                        Done<VerifyReport> done) {
  std::vector<RepairItem> items;
  items.reserve(ids.size());
  for (fetch::ObjectId& id : ids) items.push_back({std::move(id), nullptr});
  verifier_.Start(
      std::move(items), [this](const fetch::ObjectId& id) { return Open(id, Keep::kNo); },
      std::move(progress), std::move(done));
}

void LocalCache::Repair(std::vector<RepairItem> items,
                        std::move_only_function<bool(std::uint64_t bytes)> progress,
                        Done<VerifyReport> done) {
  if (items.empty()) return done(VerifyReport{});  // An empty list would mean all to the verifier.
  verifier_.Start(
      std::move(items), [this](const fetch::ObjectId& id) { return Open(id, Keep::kNo); },
      std::move(progress), std::move(done));
}

void LocalCache::SetLimits(CacheLimits limits) {
  core_->space->SetLimits(limits);
  core_->evictor->Nudge();
}

}  // namespace modelfs::index
