#include "index/local_cache.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace modelfs::index {
namespace {

std::vector<IndexedChunk> ReadMap(const MapFile& map) {
  std::vector<IndexedChunk> chunks;
  auto read = map.ReadAll([&](std::uint64_t index, const MapRecord& record) {
    chunks.push_back({index, record.xxh3});
  });
  if (!read) spdlog::warn("cache.map_unreadable what=\"{}\"", read.error().what);
  return chunks;
}

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
  auto core = std::make_shared<Core>(std::move(*tier), options.faults);
  core->disk = std::move(*disk);
  const auto index_directory =
      options.index_directory.empty() ? options.directory / "index" : options.index_directory;
  auto db = IndexDb::Open(index_directory, [weak = std::weak_ptr(core)](const Error& error) {
    if (const auto c = weak.lock()) c->problems.Note("index.write_failed", error);
  });
  if (!db) {
    return Fail(db.error().code, fmt::format("cache index {}: {}; choose another with --index",
                                             index_directory.string(), db.error().what));
  }
  core->db = std::move(*db);
  core->buffers = std::make_shared<BufferPool>(
      core->tier.chunk_size_bytes(), options.memory_bytes,
      [opener = core->opener](TaskThread::Task task) { opener->Post(std::move(task)); },
      [weak = std::weak_ptr(core)] {
        if (const auto c = weak.lock()) c->loader.RoomAgain();
      });
  auto cache = std::make_unique<LocalCache>(core);
  auto ready = core->db->needs_rebuild() ? cache->Rebuild() : cache->Reconcile();
  if (!ready) return std::unexpected(std::move(ready.error()));
  spdlog::info("cache.open directory={} objects={} bytes={} io={}", options.directory.string(),
               core->counters.objects.load(), core->counters.cached_bytes.load(),
               core->disk->name());
  return cache;
}

/// Brings the index up to the maps, for objects that were being written when we were stopped.
Result<void> LocalCache::Reconcile() {
  auto objects = core_->db->Objects();
  if (!objects) {
    spdlog::warn("index.unreadable what=\"{}\"", objects.error().what);
    return Rebuild();
  }
  for (const ObjectRecord& record : *objects) {
    std::uint64_t bytes = record.present_bytes;
    if (record.dirty) {
      auto map = core_->tier.OpenMap(record.id.Digest());
      if (!map || map->header().id != record.id) {
        core_->db->Remove(record.id.Digest());
        continue;
      }
      auto chunks = ReadMap(*map);
      bytes = 0;
      for (const IndexedChunk& c : chunks) {
        bytes += std::min(record.chunk_size_bytes,
                          record.id.size_bytes - c.index * record.chunk_size_bytes);
      }
      core_->db->Replace(record.id, record.chunk_size_bytes, std::move(chunks));
    }
    core_->counters.objects.fetch_add(1);
    core_->counters.cached_bytes.fetch_add(bytes);
  }
  Flush();
  return {};
}

Result<void> LocalCache::Rebuild() {
  core_->counters.objects = 0;
  core_->counters.cached_bytes = 0;
  core_->tier.ForEachMap([this](const MapFile& map) {
    const MapFile::Header& header = map.header();
    auto chunks = ReadMap(map);
    std::uint64_t bytes = 0;
    for (const IndexedChunk& c : chunks) {
      bytes += std::min(header.chunk_size_bytes,
                        header.id.size_bytes - c.index * header.chunk_size_bytes);
    }
    core_->counters.objects.fetch_add(1);
    core_->counters.cached_bytes.fetch_add(bytes);
    core_->db->Replace(header.id, header.chunk_size_bytes, std::move(chunks));
    return true;
  });
  core_->db->MarkBuilt();
  Flush();
  if (core_->counters.objects > 0) {
    spdlog::info("index.rebuilt objects={}", core_->counters.objects.load());
  }
  return {};
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
  verifier_.Stop();
  // From where bytes come to where they go: each stage may still feed the next.
  core_->opener->Stop();
  Flush();
  core_->disk->Stop();
  for (const auto& object : objects) object->MarkClean();
  core_->db->Stop();
}

std::shared_ptr<LocalObject> LocalCache::Open(const fetch::ObjectId& id) {
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
      recent_.push_back(object);
      if (recent_.size() > kRecent) {
        dropped = std::move(recent_.front());
        recent_.pop_front();
      }
      if (objects_.size() > 4 * kRecent) {
        std::erase_if(objects_, [](const auto& entry) { return entry.second.expired(); });
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
  auto object = Open(id);
  object->SetOrigin(std::move(origin));
  core_->db->Touch(object->digest());
  return object;
}

std::optional<ObjectStatus> LocalCache::Find(const fetch::ObjectId& id) const {
  const std::string digest = id.Digest();
  std::shared_ptr<LocalObject> object;
  {
    const MutexLock lock(mutex_);
    if (const auto it = objects_.find(digest); it != objects_.end()) object = it->second.lock();
  }
  if (object) {
    ObjectStatus status = object->Status();
    if (status.cached_bytes > 0) return status;
  }
  const auto record = core_->db->FindObject(digest).value_or(std::nullopt);
  if (!record || record->present_chunks == 0) return std::nullopt;
  return ObjectStatus{.id = record->id,
                      .cached_bytes = record->present_bytes,
                      .whole = record->present_bytes == record->id.size_bytes,
                      .verified = record->verified};
}

CacheStats LocalCache::Stats() const {
  const Counters& c = core_->counters;
  CacheStats s;
  s.objects = c.objects;
  s.cached_bytes = c.cached_bytes;
  s.hit_bytes = c.hit_bytes;
  s.miss_bytes = c.miss_bytes;
  s.fetched_bytes = c.fetched_bytes;
  s.fetch_requests = c.fetch_requests;
  s.fetches_in_flight = c.fetches_in_flight;
  s.fetch_bytes_per_second = core_->fetch_rate.PerSecond();
  s.buffer_bytes = core_->buffers->used_bytes();
  s.buffer_limit_bytes = core_->buffers->limit() * core_->buffers->buffer_bytes();
  s.quarantined_chunks = c.quarantined_chunks;
  s.uncached_writes = c.uncached_writes;
  s.io_backend = core_->disk->name();
  s.last_problem = core_->problems.last();
  return s;
}

void LocalCache::Verify(std::vector<fetch::ObjectId> ids,
                        std::move_only_function<bool(std::uint64_t bytes)> progress,
                        Done<VerifyReport> done) {
  verifier_.Start(
      std::move(ids), [this](const fetch::ObjectId& id) { return Open(id); }, std::move(progress),
      std::move(done));
}

}  // namespace modelfs::index
