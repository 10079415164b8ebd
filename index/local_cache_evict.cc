// What the cache keeps and drops when it is told to.
#include <utility>

#include "index/local_cache.h"

namespace modelfs::index {
namespace {

/// Whoever closes a file and then evicts it should not find that the last chunk is being written.
constexpr std::chrono::seconds kPatience{5};

}  // namespace

std::shared_ptr<LocalObject> LocalCache::OpenKnown(const std::string& digest) {
  {
    const MutexLock lock(mutex_);
    if (const auto it = objects_.find(digest); it != objects_.end()) {
      if (auto object = it->second.lock()) return object;
    }
  }
  const auto record = core_->db->FindObject(digest).value_or(std::nullopt);
  if (record) return Open(record->id, Keep::kNo);
  // The index may have lost it.
  const auto map = core_->tier.OpenMap(digest);
  const bool known = map && map->header().id.Digest() == digest;
  return known ? Open(map->header().id, Keep::kNo) : nullptr;
}

std::vector<std::shared_ptr<LocalObject>> LocalCache::Alive() const {
  std::vector<std::shared_ptr<LocalObject>> alive;
  const MutexLock lock(mutex_);
  for (const auto& [digest, weak] : objects_) {
    if (auto object = weak.lock()) alive.push_back(std::move(object));
  }
  return alive;
}

void LocalCache::Pin(std::vector<fetch::ObjectId> ids, Done<void> done) {
  SetPinned(std::move(ids), Pinning::kPin, std::move(done));
}

void LocalCache::Unpin(std::vector<fetch::ObjectId> ids, Done<void> done) {
  SetPinned(std::move(ids), Pinning::kUnpin, std::move(done));
}

void LocalCache::SetPinned(std::vector<fetch::ObjectId> ids, Pinning pinning, Done<void> done) {
  auto shared = std::make_shared<Done<void>>(std::move(done));
  const bool posted = core_->evictor->Post([this, ids = std::move(ids), pinning, shared] {
    const bool pinned = pinning == Pinning::kPin;
    for (const fetch::ObjectId& id : ids) {
      const std::string digest = id.Digest();
      if (auto set = core_->tier.SetPinned(digest, pinned); !set) return (*shared)(set);
      core_->db->SetPinned(id, core_->tier.chunk_size_bytes(), pinned);
      core_->space->SetPinned(digest, pinned);
    }
    core_->evictor->Nudge();
    core_->db->Flush([shared](const Result<void>& committed) { (*shared)(committed); });
  });
  if (!posted) (*shared)(Fail(Errc::kCancelled, "pin: shutting down"));
}

void LocalCache::Evict(std::vector<fetch::ObjectId> ids, Done<EvictReport> done) {
  auto shared = std::make_shared<Done<EvictReport>>(std::move(done));
  const bool posted = core_->evictor->Post([this, ids = std::move(ids), shared] {
    std::vector<std::string> digests;
    for (const fetch::ObjectId& id : ids) digests.push_back(id.Digest());
    if (ids.empty()) digests = core_->space->Digests();
    (*shared)(EvictNow(digests));
  });
  if (!posted) (*shared)(Fail(Errc::kCancelled, "evict: shutting down"));
}

EvictReport LocalCache::EvictNow(const std::vector<std::string>& digests) {
  EvictReport report;
  for (const std::string& digest : digests) {
    const auto known = core_->space->Find(digest);
    if (!known) continue;
    if (known->pinned) {
      ++report.pinned;
      continue;
    }
    const auto object = OpenKnown(digest);
    if (!object) continue;
    std::uint64_t bytes = 0;
    switch (object->EvictWhole(bytes, kPatience)) {
      case LocalObject::Eviction::kGone:
        ++report.objects;
        report.bytes += bytes;
        break;
      case LocalObject::Eviction::kInUse:
      case LocalObject::Eviction::kBusy: ++report.in_use; break;
      case LocalObject::Eviction::kFailed: break;
    }
  }
  return report;
}

}  // namespace modelfs::index
