// How an object remembers its uses, and how it goes, whole or by chunks.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "index/local_object.h"

namespace modelfs::index {
namespace {

/// How often the cache hears of a use, and how far the index may be behind.
constexpr std::uint32_t kNoteTicks = 8;
constexpr std::int64_t kTouchSeconds = 60;

}  // namespace

std::shared_ptr<CachedObject> LocalObject::Hold() {
  std::shared_ptr<CachedObject> held;
  {
    const MutexLock lock(mutex_);
    held = outside_.lock();
    if (!held) {
      // A count of its own: `recent`, flights and disk operations hold the object too.
      held =
          std::shared_ptr<CachedObject>(this, [self = shared_from_this()](CachedObject*) mutable {
            self->LetGo();
            self.reset();
          });
      outside_ = held;
    }
  }
  NoteUse();
  return held;
}

bool LocalObject::InUse() const {
  const MutexLock lock(mutex_);
  return !outside_.expired();
}

void LocalObject::NoteUse() {
  const std::uint32_t now = core_->Ticks();
  const std::uint32_t noted = noted_use_.load(std::memory_order_relaxed);
  if (noted != 0 && now - noted < kNoteTicks) return;
  noted_use_.store(now, std::memory_order_relaxed);
  const std::int64_t micros = std::chrono::duration_cast<std::chrono::microseconds>(
                                  std::chrono::system_clock::now().time_since_epoch())
                                  .count();
  core_->space->Touch(digest_, micros);
  const std::int64_t seconds = micros / 1'000'000;
  std::int64_t touched = touched_.load(std::memory_order_relaxed);
  if (seconds - touched < kTouchSeconds) return;
  if (touched_.compare_exchange_strong(touched, seconds)) core_->db->Touch(digest_, seconds);
}

bool LocalObject::Idle() const {
  return loads_.empty() && checks_.empty() && unstored_.empty() && !chunks_.AnyBeingRead() &&
         !streaming_ && files_state_ != FilesState::kPreparing;
}

bool LocalObject::AwaitIdle(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while ((!Idle() || sealing_) && outside_.expired() && !closed_) {
    if (!loaded_condition_.WaitUntil(mutex_, deadline)) break;
  }
  return Idle() && !sealing_;
}

LocalObject::Eviction LocalObject::EvictWhole(std::uint64_t& bytes,
                                              std::chrono::milliseconds patience) {
  AwaitLoaded();
  {
    const MutexLock lock(mutex_);
    if (!outside_.expired()) return Eviction::kInUse;
    if (closed_ || broken_) return Eviction::kBusy;
    if (patience > patience.zero()) {  // Told to: what is still on its way is not wanted either.
      ForgetWishes();
      stop_sealing_.store(true, std::memory_order_relaxed);
    }
    const bool idle = AwaitIdle(patience) && whole_waiters_.empty();
    if (!outside_.expired()) return Eviction::kInUse;
    if (!idle || closed_ || broken_) return Eviction::kBusy;
    loaded_.store(false, std::memory_order_release);  // What comes now queues.
  }
  const auto known = core_->space->Find(digest_);
  core_->gone.Notify(digest_);
  auto fault = core_->faults->Hit("evict.remove");
  const Result<void> removed =
      fault ? Result<void>(std::unexpected(*std::move(fault))) : core_->tier.RemoveObject(digest_);
  core_->faults->Hit("evict.removed");
  if (removed) {
    core_->db->Remove(digest_);
    core_->space->Remove(digest_);
  } else {
    core_->problems.Note("cache.evict_failed", removed.error());
  }
  std::unique_ptr<ObjectFiles> files;  // Closed with no lock held.
  std::vector<std::move_only_function<void()>> queued;
  {
    const MutexLock lock(mutex_);
    if (removed) {
      files = std::move(files_);
      data_fd_.store(-1, std::memory_order_release);
      suspects_.clear();
      Emptied();
    }
    loaded_.store(true, std::memory_order_release);
    queued.swap(queued_);
    loaded_condition_.NotifyAll();
  }
  if (removed) {
    bytes = known ? known->allocated_bytes : 0;
    core_->counters.evicted_objects.fetch_add(1, std::memory_order_relaxed);
    core_->counters.evicted_bytes.fetch_add(bytes, std::memory_order_relaxed);
    spdlog::debug("cache.evicted object={} bytes={}", id_.Describe(), bytes);
  }
  files.reset();
  for (auto& action : queued) action();
  return removed ? Eviction::kGone : Eviction::kFailed;
}

void LocalObject::ForEachEvictable(
    const std::function<void(std::uint64_t chunk, std::uint32_t when)>& each) const {
  const MutexLock lock(mutex_);
  if (closed_ || !loaded_.load(std::memory_order_acquire) || !whole_waiters_.empty()) return;
  if (sealed_) return;  // Somebody may be reading the file through the kernel.
  for (std::uint64_t chunk = 0; chunk < chunks_.count(); ++chunk) {
    if (chunks_.State(chunk) != ChunkState::kPresent || chunks_.BeingRead(chunk)) continue;
    if (!checks_.contains(chunk)) each(chunk, chunks_.LastUse(chunk));
  }
}

/// Takes the records of `chunks` off the map, then their bytes out of the data. False: the map
/// still has the first of them.
bool LocalObject::Strike(const std::vector<std::uint64_t>& chunks) {
  const MapFile& map = files_->map;
  if (auto fault = core_->faults->Hit("evict.strike"); fault) {
    core_->problems.Note("cache.map_write_failed", *fault);
    return false;
  }
  for (const std::uint64_t chunk : chunks) {
    const ssize_t n = ::pwrite(map.fd(), MapFile::kErased.data(), MapFile::kRecordSize,
                               static_cast<off_t>(map.OffsetOf(chunk)));
    if (n == static_cast<ssize_t>(MapFile::kRecordSize)) continue;
    core_->problems.Note("cache.map_write_failed",
                         FailErrno(n < 0 ? errno : ENOSPC, "evict: strike out").error());
    return false;
  }
  core_->faults->Hit("evict.punch");
  for (std::size_t i = 0; i < chunks.size();) {
    std::size_t j = i + 1;
    while (j < chunks.size() && chunks[j] == chunks[j - 1] + 1) ++j;
    const std::uint64_t begin = chunks_.RangeOf(chunks[i]).begin;
    // To the end of the last block, which is longer than a short last chunk.
    const std::uint64_t end = (chunks[j - 1] + 1) * chunks_.chunk_size();
    if (::fallocate(files_->data.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(begin), static_cast<off_t>(end - begin)) != 0) {
      core_->problems.Note("cache.punch_failed", FailErrno(errno, "evict: punch").error());
    }
    i = j;
  }
  core_->faults->Hit("evict.punched");
  return true;
}

/// Something of it is gone: what was found out about the whole holds no more.
void LocalObject::Lost() {
  ++losses_;
  verified_ = Verified::kNo;
  if (sums_state_ != SumsState::kCompared) return;
  sums_state_ = published_known_ ? SumsState::kKnown : SumsState::kUnknown;
}

std::uint64_t LocalObject::EvictChunks(const std::vector<std::uint64_t>& chunks) {
  std::vector<std::uint64_t> taken;
  {
    const MutexLock lock(mutex_);
    if (closed_ || sealed_ || !loaded_.load(std::memory_order_acquire) || !files_) return 0;
    for (const std::uint64_t chunk : chunks) {
      if (chunks_.State(chunk) != ChunkState::kPresent || chunks_.BeingRead(chunk)) continue;
      if (!checks_.try_emplace(chunk).second) continue;  // Who wants it now waits there.
      chunks_.Uncheck(chunk);
      taken.push_back(chunk);
    }
    punches_.fetch_add(1);
  }
  if (taken.empty()) return 0;
  const auto before = core_->space->Find(digest_);
  // The index must not believe in them after a crash.
  core_->db->MarkDirty(id_, chunks_.chunk_size(), {});
  const bool struck = Strike(taken);
  Recount();
  Actions actions;
  {
    const MutexLock lock(mutex_);
    dirty_ = true;
    std::vector<ReadPiece> waiting;
    for (const std::uint64_t chunk : taken) {
      auto& pieces = checks_[chunk];
      std::move(pieces.begin(), pieces.end(), std::back_inserter(waiting));
      checks_.erase(chunk);
      if (!struck) continue;  // Present still; whether its record is, its next check will show.
      chunks_.Move(chunk, ChunkState::kAbsent);
      core_->db->DropChunk(digest_, chunk);
    }
    if (struck) Lost();
    Account();
    Route(waiting, actions);
    loaded_condition_.NotifyAll();
  }
  actions.Run();
  const auto after = core_->space->Find(digest_);
  const std::uint64_t was = before ? before->allocated_bytes : 0;
  const std::uint64_t is = after ? after->allocated_bytes : 0;
  const std::uint64_t freed = was > is ? was - is : 0;
  core_->counters.evicted_bytes.fetch_add(freed, std::memory_order_relaxed);
  return freed;
}

}  // namespace modelfs::index
