#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "index/local_object.h"

namespace modelfs::index {

namespace {

/// What a chunk may take beside its own bytes: blocks of the map, and of the file's extents.
constexpr std::uint64_t kBesides = std::uint64_t{16} << 10;

std::int64_t MicrosNow() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

void LocalObject::Store(std::shared_ptr<ChunkLoad> load) {
  if (core_->health.degraded()) {
    core_->counters.uncached_writes.fetch_add(1, std::memory_order_relaxed);
    return NotKept(load, {Errc::kNoSpace, "the cache keeps nothing: " + core_->health.reason()});
  }
  if (auto fault = core_->faults->Hit("local_tier.write"); fault) return NotStored(load, *fault);
  if (IsBadSpot(load->chunk)) {
    return NotKept(load, {Errc::kIo, fmt::format("{} chunk {}: wrong on disk again after a refetch",
                                                 id_.Describe(), load->chunk)});
  }
  const std::uint64_t bytes = load->size_bytes + kBesides;
  core_->evictor->Reserve(bytes, [self = shared_from_this(), load = std::move(load)](
                                     std::optional<SpaceReservation> room) mutable {
    if (!room) {
      return self->NotKept(
          load, {Errc::kNoSpace, "the cache has no room left: what it holds is open or pinned"});
    }
    load->room = std::move(*room);
    self->writes_.fetch_add(1, std::memory_order_relaxed);
    self->StoreInRoom(std::move(load));
  });
}

/// Where the disk gave back something else twice, nothing is kept for a while; then it is tried
/// once more, for it may have healed.
bool LocalObject::IsBadSpot(std::uint64_t chunk) const {
  const MutexLock lock(mutex_);
  const auto found = suspects_.find(chunk);
  return found != suspects_.end() && found->second.mismatches >= 2 &&
         std::chrono::steady_clock::now() - found->second.last < kBadSpotRetry;
}

void LocalObject::Suspect(std::uint64_t chunk) {
  Mismatches& found = suspects_[chunk];
  ++found.mismatches;
  found.last = std::chrono::steady_clock::now();
}

void LocalObject::StoreInRoom(std::shared_ptr<ChunkLoad> load) {
  bool prepare = false;
  {
    const MutexLock lock(mutex_);
    if (files_state_ != FilesState::kReady) {
      unstored_.push_back(std::move(load));
      prepare = std::exchange(files_state_, FilesState::kPreparing) == FilesState::kIdle;
    }
  }
  if (load) return WriteData(load);
  if (!prepare) return;
  if (!core_->opener->Post([self = shared_from_this()] { self->PrepareFiles(); })) {
    FilesReady(Fail(Errc::kCancelled, "write: shutting down"));
  }
}

/// On the `open` thread: makes the files if need be, and has the index know before the first write.
void LocalObject::PrepareFiles() {
  if (auto fault = core_->faults->Hit("local_tier.create"); fault) {
    return FilesReady(std::unexpected(*fault));
  }
  if (!files_) {
    auto files = core_->tier.CreateObject(id_);
    if (!files) return FilesReady(std::unexpected(std::move(files.error())));
    files_ = std::make_unique<ObjectFiles>(std::move(*files));
    if (core_->tier.IsPinned(digest_)) core_->space->SetPinned(digest_, true);
    data_fd_.store(files_->data.get(), std::memory_order_release);
  }
  if (!files_->direct) files_->direct = core_->tier.OpenDirect(digest_);
  core_->db->MarkDirty(id_, chunks_.chunk_size(),
                       [self = shared_from_this()](const Result<void>& marked) {
                         // Without an index the maps still tell all, so a failure there (it is
                         // noted) stops nothing.
                         if (!marked && marked.error().code == Errc::kCancelled) {
                           return self->FilesReady(marked);
                         }
                         self->FilesReady({});
                       });
}

void LocalObject::FilesReady(const Result<void>& made) {
  Loads loads;
  {
    const MutexLock lock(mutex_);
    files_state_ = made ? FilesState::kReady : FilesState::kIdle;
    if (made) dirty_ = true;
    loads.swap(unstored_);
  }
  for (const std::shared_ptr<ChunkLoad>& load : loads) {
    if (made) {
      WriteData(load);
    } else {
      NotStored(load, made.error());
    }
  }
}

void LocalObject::WriteData(const std::shared_ptr<ChunkLoad>& load) {
  const ByteRange range = chunks_.RangeOf(load->chunk);
  auto& in_flight = core_->counters.direct_in_flight;
  // When the disk lags behind the network, the page cache takes what would else hold up buffers,
  // and with them the download.
  const std::uint64_t most = std::max<std::uint64_t>(2, core_->buffers->limit() / 8);
  bool direct = files_->direct && !direct_broken_.load(std::memory_order_relaxed) &&
                load->size_bytes == chunks_.chunk_size() &&
                in_flight.load(std::memory_order_relaxed) < most;
  if (direct) {
    // What nobody has read yet will be soon: its buffer is kept for that, or, where there are too
    // many of those, it is left in the page cache.
    const MutexLock lock(mutex_);
    if (!load->place && !load->window) load->place = core_->unread.TryTake();
    direct = load->was_read || load->place;
  }
  if (direct) in_flight.fetch_add(1, std::memory_order_relaxed);
  const int fd = direct ? files_->direct.get() : files_->data.get();
  core_->disk->Write(fd, range.begin, {load->buffer.data(), load->size_bytes},
                     [self = shared_from_this(), load, direct](Result<void> written) {
                       if (direct) {
                         self->core_->counters.direct_in_flight.fetch_sub(
                             1, std::memory_order_relaxed);
                       }
                       if (written) return self->WriteRecord(load);
                       if (direct && written.error().code == Errc::kInvalid) {
                         self->direct_broken_.store(true, std::memory_order_relaxed);
                         return self->WriteData(load);
                       }
                       self->NotStored(load, written.error());
                     });
}

void LocalObject::WriteRecord(const std::shared_ptr<ChunkLoad>& load) {
  if (auto fault = core_->faults->Hit("local_tier.record"); fault) return NotStored(load, *fault);
  const MapRecord record{.xxh3 = load->hash,
                         .crc64nvme = load->sums.crc64nvme,
                         .crc32 = load->sums.crc32,
                         .crc32c = load->sums.crc32c,
                         .flags = MapRecord::kPresent | load->sums.flags,
                         .boot_hash = core_->tier.boot_hash()};
  auto bytes = std::make_shared<MapFile::EncodedRecord>(files_->map.Encode(load->chunk, record));
  core_->disk->Write(files_->map.fd(), files_->map.OffsetOf(load->chunk), *bytes,
                     [self = shared_from_this(), load, bytes](Result<void> written) {
                       if (written) return self->Stored(load);
                       self->NotStored(load, written.error());
                     });
}

/// The object's blocks as they are now. `written`: what was reserved for some of them.
void LocalObject::Recount(SpaceReservation written) {
  const MutexLock lock(counting_);
  const bool more_to_come = writes_.load(std::memory_order_relaxed) > 0;
  const auto bytes = LocalTier::AllocatedBytes(*files_);
  counted_.store(bytes.has_value(), std::memory_order_relaxed);
  if (bytes) {
    return core_->space->Settle(digest_, *bytes, MicrosNow(), std::move(written), more_to_come);
  }
  // As good as can be told; it must be known, or nothing evicts it.
  const auto known = core_->space->Find(digest_);
  const std::uint64_t before = known ? known->allocated_bytes : 0;
  core_->space->SetAllocated(digest_, std::max(before, chunks_.present_bytes() + kBesides),
                             MicrosNow());
}

void LocalObject::Stored(const std::shared_ptr<ChunkLoad>& load) {
  core_->faults->Hit("local_tier.stored");
  writes_.fetch_sub(1, std::memory_order_relaxed);
  Recount(std::move(load->room));
  Actions actions;
  {
    const MutexLock lock(mutex_);
    loads_.erase(load->chunk);
    chunks_.SetHash(load->chunk, load->hash);
    chunks_.Move(load->chunk, ChunkState::kPresent);
    chunks_.Used(load->chunk, core_->Ticks());
    // One that was found wrong before is read back first.
    if (!suspects_.contains(load->chunk)) chunks_.MarkChecked(load->chunk);
    core_->unread.Keep(this, load, load->read_bytes, std::move(load->place));
    Account();
    core_->db->PutChunk(digest_, load->chunk, load->hash);
    ++stored_chunks_;
    CheckSums(actions);
    SettleWhole({}, actions);
    loaded_condition_.NotifyAll();
  }
  actions.Run();
}

void LocalObject::NotStored(const std::shared_ptr<ChunkLoad>& load, const Error& error) {
  if (error.code != Errc::kCancelled) {
    core_->counters.uncached_writes.fetch_add(1, std::memory_order_relaxed);
    core_->problems.Note("cache.write_failed", error);
    core_->health.Degrade(error);
  }
  if (load->room) writes_.fetch_sub(1, std::memory_order_relaxed);
  // Part of it may have been written.
  if (data_fd() >= 0) Recount(std::move(load->room));
  NotKept(load, error);
}

/// Its readers have their bytes; they were read through the cache.
void LocalObject::NotKept(const std::shared_ptr<ChunkLoad>& load, const Error& error) {
  core_->counters.reads_through.fetch_add(load->size_bytes, std::memory_order_relaxed);
  load->room = SpaceReservation();
  Actions actions;
  {
    const MutexLock lock(mutex_);
    loads_.erase(load->chunk);
    chunks_.Move(load->chunk, ChunkState::kAbsent);
    ForgetWishes();
    store_broken_until_ = std::chrono::steady_clock::now() + kStoreRetry;
    SettleWhole(std::unexpected(error), actions);
    loaded_condition_.NotifyAll();
  }
  actions.Run();
}

}  // namespace modelfs::index
