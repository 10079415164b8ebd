// How the cache finds out at its start what is there.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "index/local_cache.h"

namespace modelfs::index {
namespace {

Result<std::vector<IndexedChunk>> ReadMap(const MapFile& map) {
  std::vector<IndexedChunk> chunks;
  auto read = map.ReadAll([&](std::uint64_t index, const MapRecord& record) {
    chunks.push_back({index, record.xxh3});
  });
  if (read) return chunks;
  spdlog::warn("cache.map_unreadable what=\"{}\"", read.error().what);
  return std::unexpected(std::move(read.error()));
}

/// Whether the disk said for certain that there is no map of use.
bool IsGone(const Error& error) {
  return error.code == Errc::kNotFound || error.code == Errc::kCorrupt;
}

std::uint64_t BytesOf(const std::vector<IndexedChunk>& chunks, std::uint64_t chunk_size,
                      std::uint64_t object_size) {
  std::uint64_t bytes = 0;
  for (const IndexedChunk& c : chunks) {
    bytes += std::min(chunk_size, object_size - c.index * chunk_size);
  }
  return bytes;
}

}  // namespace

/// Brings the index up to the maps, for objects that were being written when we were stopped, and
/// counts blocks anew where it may be wrong about them.
Result<void> LocalCache::Reconcile() {
  auto objects = core_->db->Objects();
  if (!objects) {
    spdlog::warn("index.unreadable what=\"{}\"", objects.error().what);
    return Rebuild();
  }
  const bool unclean = !core_->db->was_closed();
  if (unclean) AdoptUnknown();
  for (ObjectRecord& record : *objects) {
    const std::string digest = record.id.Digest();
    if (unclean && record.pinned != core_->tier.IsPinned(digest)) {
      record.pinned = !record.pinned;  // The file is the truth.
      core_->db->SetPinned(record.id, record.chunk_size_bytes, record.pinned);
    }
    if (record.dirty) {
      auto map = core_->tier.OpenMap(digest);
      if (map ? map->header().id != record.id : IsGone(map.error())) {
        Forget(record);
        continue;
      }
      auto chunks = map ? ReadMap(*map) : std::unexpected(map.error());
      if (chunks) {
        record.present_bytes = BytesOf(*chunks, record.chunk_size_bytes, record.id.size_bytes);
        record.present_chunks = chunks->size();
        core_->db->Replace(record.id, record.chunk_size_bytes, std::move(*chunks));
      } else {
        // Cannot be read now: whoever opens it looks again.
        core_->space->Put(digest, {.allocated_bytes = BlocksOf(record),
                                   .last_use = record.last_use * 1'000'000,
                                   .pinned = record.pinned});
        continue;
      }
    }
    if (unclean && core_->tier.AllocatedBytes(digest) == std::uint64_t{0}) {
      const auto map = core_->tier.OpenMap(digest);
      if (!map && IsGone(map.error())) {  // Evicted, and the index was not told in time.
        Forget(record);
        continue;
      }
    }
    if (record.present_chunks == 0 && !record.pinned) {
      // All that it had was evicted, or never came.
      if (core_->tier.RemoveObject(digest)) core_->db->Remove(digest);
      continue;
    }
    Recount(record, unclean || record.dirty);
  }
  Flush();
  return {};
}

/// Its files are gone. A pin may be left.
void LocalCache::Forget(const ObjectRecord& record) {
  const std::string digest = record.id.Digest();
  core_->db->Remove(digest);
  if (!core_->tier.IsPinned(digest)) return;
  core_->db->SetPinned(record.id, record.chunk_size_bytes, true);
  core_->space->Put(digest, {.pinned = true});
}

/// As the disk says, else as the index remembers.
std::uint64_t LocalCache::BlocksOf(const ObjectRecord& record) const {
  return core_->tier.AllocatedBytes(record.id.Digest()).value_or(record.allocated_bytes);
}

/// Takes what is there into account.
void LocalCache::Recount(const ObjectRecord& record, bool recount) {
  const std::string digest = record.id.Digest();
  std::uint64_t bytes = record.allocated_bytes;
  if (recount || bytes == 0) {
    bytes = BlocksOf(record);
    core_->db->MarkClean(digest, bytes);
  }
  core_->space->Put(digest, {.allocated_bytes = bytes,
                             .present_bytes = record.present_bytes,
                             .last_use = record.last_use * 1'000'000,
                             .pinned = record.pinned});
  if (record.present_chunks == 0) return;  // Pinned before anything of it was cached.
  core_->counters.cached_bytes.fetch_add(record.present_bytes);
}

/// After a kill: files that the index was not told of in time would take space that nobody counts.
void LocalCache::AdoptUnknown() {
  core_->tier.ForEachObject([this](const std::string& digest) {
    if (!core_->db->FindObject(digest).value_or(std::nullopt)) AdoptFiles(digest);
  });
}

/// Takes what its map says of an object for true; what has none, or says nothing, is removed.
void LocalCache::AdoptFiles(const std::string& digest) {
  const auto map = core_->tier.OpenMap(digest);
  if (map && map->header().id.Digest() == digest) {
    const auto adopted = Adopt(*map);
    if (!adopted || *adopted > 0 || core_->tier.IsPinned(digest)) return;
  } else if (!map && !IsGone(map.error())) {
    // Cannot be read now: counted, and found again by whoever wants it.
    core_->space->Put(digest, {.allocated_bytes = core_->tier.AllocatedBytes(digest).value_or(0)});
    return;
  }
  if (auto removed = core_->tier.RemoveObject(digest); !removed) {
    spdlog::warn("cache.unknown_files what=\"{}\"", removed.error().what);
  }
}

/// Tells the index what a map says; the number of chunks.
Result<std::uint64_t> LocalCache::Adopt(const MapFile& map) {
  const MapFile::Header& header = map.header();
  auto read = ReadMap(map);
  if (!read) return std::unexpected(std::move(read.error()));
  std::vector<IndexedChunk>& chunks = *read;
  const ObjectRecord record{
      .id = header.id,
      .chunk_size_bytes = header.chunk_size_bytes,
      .present_chunks = chunks.size(),
      .present_bytes = BytesOf(chunks, header.chunk_size_bytes, header.id.size_bytes),
      .last_use = map.LastWritten(),
      .pinned = core_->tier.IsPinned(header.id.Digest())};
  if (chunks.empty() && !record.pinned) return 0;
  core_->db->Replace(header.id, header.chunk_size_bytes, std::move(chunks));
  core_->db->SetPinned(header.id, header.chunk_size_bytes, record.pinned);
  Recount(record, true);
  return record.present_chunks;
}

Result<void> LocalCache::Rebuild() {
  core_->counters.cached_bytes = 0;
  // An index that lost changes may believe in what is not there any more.
  for (const ObjectRecord& record : core_->db->Objects().value_or(std::vector<ObjectRecord>())) {
    const auto map = core_->tier.OpenMap(record.id.Digest());
    if (!map && IsGone(map.error())) Forget(record);
  }
  core_->tier.ForEachObject([this](const std::string& digest) { AdoptFiles(digest); });
  core_->db->MarkBuilt();
  Flush();
  if (const std::uint64_t objects = core_->space->totals().objects; objects > 0) {
    spdlog::info("index.rebuilt objects={}", objects);
  }
  return {};
}

}  // namespace modelfs::index
