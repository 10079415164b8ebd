// How the cache finds out at its start what is there.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "index/local_cache.h"

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
    if (record.dirty) {
      auto map = core_->tier.OpenMap(digest);
      if (!map || map->header().id != record.id) {
        core_->db->Remove(digest);
        if (core_->tier.IsPinned(digest)) {
          core_->db->SetPinned(record.id, record.chunk_size_bytes, true);
          core_->space->Put(digest, {.pinned = true});
        }
        continue;
      }
      auto chunks = ReadMap(*map);
      record.present_bytes = BytesOf(chunks, record.chunk_size_bytes, record.id.size_bytes);
      record.present_chunks = chunks.size();
      core_->db->Replace(record.id, record.chunk_size_bytes, std::move(chunks));
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

/// Takes what is there into account.
void LocalCache::Recount(const ObjectRecord& record, bool recount) {
  const std::string digest = record.id.Digest();
  std::uint64_t bytes = record.allocated_bytes;
  if (recount || bytes == 0) {
    bytes = core_->tier.AllocatedBytes(digest);
    core_->db->MarkClean(digest, bytes);
  }
  core_->space->Put(digest, {.allocated_bytes = bytes,
                             .present_bytes = record.present_bytes,
                             .last_use = record.last_use * 1'000'000,
                             .pinned = record.pinned});
  if (record.present_chunks == 0) return;  // Pinned before anything of it was cached.
  core_->counters.objects.fetch_add(1);
  core_->counters.cached_bytes.fetch_add(record.present_bytes);
}

/// After a kill: files that the index was not told of in time would take space that nobody counts.
void LocalCache::AdoptUnknown() {
  core_->tier.ForEachObject([this](const std::string& digest) {
    if (core_->db->FindObject(digest).value_or(std::nullopt)) return;
    const auto map = core_->tier.OpenMap(digest);
    if (map && map->header().id.Digest() == digest && Adopt(*map) > 0) return;
    if (auto removed = core_->tier.RemoveObject(digest); !removed) {
      spdlog::warn("cache.unknown_files what=\"{}\"", removed.error().what);
    }
  });
}

/// Tells the index what a map says; the number of chunks.
std::uint64_t LocalCache::Adopt(const MapFile& map) {
  const MapFile::Header& header = map.header();
  auto chunks = ReadMap(map);
  const ObjectRecord record{
      .id = header.id,
      .chunk_size_bytes = header.chunk_size_bytes,
      .present_chunks = chunks.size(),
      .present_bytes = BytesOf(chunks, header.chunk_size_bytes, header.id.size_bytes),
      .last_use = map.LastWritten(),
      .pinned = core_->tier.IsPinned(header.id.Digest())};
  if (chunks.empty() && !record.pinned) return 0;
  core_->db->Replace(header.id, header.chunk_size_bytes, std::move(chunks));
  if (record.pinned) core_->db->SetPinned(header.id, header.chunk_size_bytes, true);
  Recount(record, true);
  return record.present_chunks;
}

Result<void> LocalCache::Rebuild() {
  core_->counters.objects = 0;
  core_->counters.cached_bytes = 0;
  core_->tier.ForEachMap([this](const MapFile& map) {
    Adopt(map);
    return true;
  });
  core_->db->MarkBuilt();
  Flush();
  if (core_->counters.objects > 0) {
    spdlog::info("index.rebuilt objects={}", core_->counters.objects.load());
  }
  return {};
}

}  // namespace modelfs::index
