#include "index/local_object.h"

#include <utility>

#include "index/shared/shared_object.h"
#include "index/shared/shared_tier.h"

namespace modelfs::index {

LocalObject::LocalObject(std::shared_ptr<Core> core, fetch::ObjectId id, std::string digest)
    : core_(std::move(core)),
      id_(std::move(id)),
      digest_(std::move(digest)),
      chunks_(id_.size_bytes, core_->tier.chunk_size_bytes()),
      read_ahead_({.chunk_bytes = chunks_.chunk_size(), .object_bytes = id_.size_bytes}) {}

LocalObject::~LocalObject() {
  core_->unread.DropAll(this);
  MarkClean();
}

void LocalObject::Load() {
  auto files = core_->tier.OpenObject(id_);
  Actions actions;
  const auto record = core_->db->FindObject(digest_).value_or(std::nullopt);
  const auto known = core_->space->Find(digest_);
  auto profile = FindProfile();
  std::vector<IndexedChunk> present;
  Result<void> read;
  if (files) {
    read = files->map.ReadAll(
        [&](std::uint64_t index, const MapRecord& r) { present.push_back({index, r.xxh3}); });
  }
  if (!files && files.error().code != Errc::kNotFound) {
    core_->problems.Note("cache.open_failed", files.error());
  }
  if (!read) core_->problems.Note("cache.map_unreadable", read.error());
  if (files && files->seal != SealState::kNone && read && present.size() < chunks_.count()) {
    // Sealed, yet not whole: nothing may be written there, so that it starts anew.
    if (auto removed = core_->tier.RemoveObject(digest_); !removed) {
      core_->problems.Note("cache.evict_failed", removed.error());
    }
    files = Fail(Errc::kNotFound, "was damaged");
    present.clear();
    if (known) core_->space->SetAllocated(digest_, 0, known->last_use);
  }
  const std::uint64_t indexed = record ? record->present_chunks : 0;
  // The map wins.
  const bool certain = read && (files || files.error().code == Errc::kNotFound);
  // After a loss of power the map may have other chunks than the index believes, and as many.
  const bool doubtful = record && !core_->db->was_closed();
  if (certain && (indexed != present.size() || doubtful)) {
    core_->db->Replace(id_, chunks_.chunk_size(), present);
  }
  std::vector<std::move_only_function<void()>> queued;
  {
    const MutexLock lock(mutex_);
    for (const IndexedChunk& c : present) chunks_.Restore(c.index, c.hash);
    if (files) {
      files_ = std::make_unique<ObjectFiles>(std::move(*files));
      data_fd_.store(files_->data.get(), std::memory_order_release);
      sealed_ = was_sealed_ = files_->seal != SealState::kNone;
      trusted_ = files_->seal == SealState::kGood && chunks_.whole();
    }
    profile_ = std::move(profile);
    cold_ = present.empty();
    if (known) accounted_bytes_ = known->present_bytes;
    if (record && chunks_.whole()) verified_ = record->verified;
  }
  if (core_->shared) shared_ = core_->shared->Object(id_, weak_from_this());
  if (data_fd() >= 0 && !known) Recount();  // The index had lost it.
  {
    const MutexLock lock(mutex_);
    Account();
    loaded_.store(true, std::memory_order_release);
    queued.swap(queued_);
    loaded_condition_.NotifyAll();
    MaybeSeal(actions);
  }
  for (auto& action : queued) action();
  actions.Run();
}

void LocalObject::Account() {
  const std::uint64_t now = chunks_.present_bytes();
  core_->counters.cached_bytes.fetch_add(now - accounted_bytes_, std::memory_order_relaxed);
  accounted_bytes_ = now;
  core_->space->SetPresent(digest_, now);
}

void LocalObject::AwaitLoaded() {
  const MutexLock lock(mutex_);
  while (!loaded_.load(std::memory_order_acquire) && !broken_) loaded_condition_.Wait(mutex_);
}

void LocalObject::SetOrigin(std::shared_ptr<fetch::Origin> origin) {
  std::shared_ptr<fetch::Origin> old;  // May be the last reference: not under the lock.
  const bool stream = origin && origin->DeliveryOf(id_) == fetch::Delivery::kStream;
  const MutexLock lock(mutex_);
  changed_.reset();
  stream_only_ = stream;
  old = std::exchange(origin_, std::move(origin));
}

std::shared_ptr<fetch::Origin> LocalObject::origin() const {
  const MutexLock lock(mutex_);
  return origin_;
}

ObjectStatus LocalObject::Status() const {
  ObjectStatus status{.id = id_,
                      .cached_bytes = chunks_.present_bytes(),
                      .whole = loaded_.load(std::memory_order_acquire) && chunks_.whole()};
  const MutexLock lock(mutex_);
  status.verified = status.whole ? verified_ : Verified::kNo;
  status.in_use = !outside_.expired();
  const auto known = core_->space->Find(digest_);
  status.pinned = known && known->pinned;
  return status;
}

void LocalObject::Shutdown() {
  std::vector<ReadPiece> pieces;
  std::vector<Done<void>> whole;
  std::vector<std::move_only_function<void()>> queued;
  // An origin that hangs holds our flights, and they hold us: whoever drops it last ends them.
  std::shared_ptr<fetch::Origin> origin;
  Actions actions;
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    SaveProfile(actions);
    loaded_condition_.NotifyAll();
    origin = std::move(origin_);
    queued.swap(queued_);
    whole.swap(whole_waiters_);
    ForgetWishes();
    for (auto it = loads_.begin(); it != loads_.end();) {
      ChunkLoad& load = *it->second;
      for (ReadPiece& piece : load.waiters) pieces.push_back(std::move(piece));
      load.waiters.clear();
      if (load.filled == load.size_bytes) {
        ++it;  // On its way to the disk.
      } else {
        chunks_.Move(load.chunk, ChunkState::kAbsent);
        it = loads_.erase(it);
      }
    }
    for (auto& [chunk, waiting] : checks_) {
      for (ReadPiece& piece : waiting) pieces.push_back(std::move(piece));
      waiting.clear();
    }
  }
  actions.Run();
  if (loaded() && shared_) shared_->Close();
  for (auto& action : queued) action();  // They see that it is closed.
  for (const ReadPiece& piece : pieces) {
    piece.op->Finish(Error{Errc::kCancelled, "read: shutting down"});
  }
  for (auto& done : whole) done(Fail(Errc::kCancelled, "fetch: shutting down"));
}

void LocalObject::MarkClean() {
  const auto known = core_->space->Find(digest_);
  if (known && known->last_use / 1'000'000 > touched_.load()) {
    touched_ = known->last_use / 1'000'000;
    core_->db->Touch(digest_, touched_);
  }
  {
    const MutexLock lock(mutex_);
    if (!dirty_) return;
    dirty_ = false;
    files_state_ = FilesState::kIdle;
  }
  // 0: the next life counts them.
  core_->db->MarkClean(digest_, known && counted_ ? known->allocated_bytes : 0);
}

std::optional<std::uint64_t> LocalObject::ExpectedHash(std::uint64_t chunk) const {
  const MutexLock lock(mutex_);
  if (chunks_.State(chunk) != ChunkState::kPresent) return std::nullopt;
  return chunks_.Hash(chunk);
}

std::optional<std::uint64_t> LocalObject::BeginRead(std::uint64_t chunk) {
  const MutexLock lock(mutex_);
  if (chunks_.State(chunk) != ChunkState::kPresent) return std::nullopt;
  chunks_.BeginRead(chunk);
  return chunks_.Hash(chunk);
}

void LocalObject::EndRead(std::uint64_t chunk) {
  const MutexLock lock(mutex_);
  chunks_.EndRead(chunk);
  loaded_condition_.NotifyAll();
}

void LocalObject::AwaitQuiet(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const MutexLock lock(mutex_);
  while (!Idle() && !closed_) {
    if (!loaded_condition_.WaitUntil(mutex_, deadline)) return;
  }
}

void LocalObject::ReportBad(std::uint64_t chunk) { Quarantine(chunk, {}); }

void LocalObject::MarkVerified() {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (!chunks_.whole()) return;
    if (verified_ != Verified::kNo) return;
    verified_ = Verified::kSelf;
    MaybeSeal(actions);
  }
  core_->db->SetVerified(digest_, Verified::kSelf);
  actions.Run();
}

}  // namespace modelfs::index
