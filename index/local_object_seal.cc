// How a whole object becomes a file that the kernel may read by itself, and what happens when it
// turns out to be damaged.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "index/local_object.h"

namespace modelfs::index {
namespace {

constexpr std::chrono::seconds kQuietTime{2};

}  // namespace

void LocalObject::WhenLoaded(std::move_only_function<void()> action) {
  {
    const MutexLock lock(mutex_);
    if (!closed_ && !loaded_.load(std::memory_order_acquire)) {
      queued_.push_back(std::move(action));
      return;
    }
  }
  action();
}

void LocalObject::WantSealed() {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (std::exchange(seal_wanted_, true) && trusted_) return;
    if (!loaded_.load(std::memory_order_acquire)) return;  // Load looks again.
    MaybeSeal(actions);
  }
  actions.Run();
}

/// Called whenever something that it depends on may have changed.
void LocalObject::MaybeSeal(Actions& actions) {
  if (!seal_wanted_ || sealing_ || trusted_ || broken_ || closed_ || corrupt_) return;
  if (!chunks_.whole()) return;
  const bool compared = verified_ != Verified::kNo || sums_state_ == SumsState::kCompared;
  if (!compared) return CheckSums(actions);
  sealing_ = true;
  stop_sealing_.store(false, std::memory_order_relaxed);
  actions.Add([self = shared_from_this()] {
    if (!self->core_->sealer->Post([self] { self->SealFiles(); })) self->Sealed(false);
  });
}

/// On the `seal` thread.
void LocalObject::SealFiles() {
  std::uint64_t epoch = 0;
  bool proven = false;
  bool whole = false;
  {
    const MutexLock lock(mutex_);
    epoch = losses_;
    proven = proven_;
    whole = files_ && chunks_.whole();
  }
  if (!whole) return Sealed(false);
  // What was compared with the origin's sums was summed on its way to the disk, in this life.
  std::vector<std::byte> buffer;
  for (std::uint64_t chunk = 0; !proven && chunk < chunks_.count(); ++chunk) {
    if (stop_sealing_.load(std::memory_order_relaxed) || !ReadBack(chunk, buffer)) {
      return Sealed(false);
    }
  }
  if (::fdatasync(files_->data.get()) != 0 || ::fdatasync(files_->map.fd()) != 0) {
    core_->problems.Note("cache.seal_failed", FailErrno(errno, "seal: sync").error());
    return Sealed(false);
  }
  AwaitQuiet(kQuietTime);
  {
    const MutexLock lock(mutex_);
    whole = losses_ == epoch && chunks_.whole() && loads_.empty() && checks_.empty();
    whole = whole && !broken_ && !closed_;
    if (whole) sealed_ = true;  // From here on nobody writes to it.
  }
  if (!whole) return Sealed(false);
  core_->faults->Hit("seal.write");
  auto written = core_->tier.WriteSeal(digest_, files_->data.get());
  if (!written) core_->problems.Note("cache.seal_failed", written.error());
  core_->faults->Hit("seal.written");
  Sealed(written.has_value());
}

void LocalObject::Sealed(bool good) {
  const MutexLock lock(mutex_);
  sealing_ = false;
  loaded_condition_.NotifyAll();
  if (broken_) return;
  if (!good) {
    // One from an earlier life stays so: somebody may be reading it.
    if (!was_sealed_) sealed_ = false;
    return;
  }
  trusted_ = true;
  if (verified_ != Verified::kNo) return;
  verified_ = Verified::kSelf;
  core_->db->SetVerified(digest_, Verified::kSelf);
}

Result<Fd> LocalObject::OpenSealed() {
  {
    const MutexLock lock(mutex_);
    if (!trusted_ || broken_ || closed_) {
      return Fail(Errc::kNotFound, "not (yet) whole and verified");
    }
  }
  return core_->tier.OpenSealed(digest_, data_fd());
}

bool LocalObject::IsTrusted() const {
  const MutexLock lock(mutex_);
  return trusted_ && !broken_;
}

/// A file that somebody may be reading through the kernel is not written to: all of the object goes
/// and comes anew. `pieces` wait for that.
void LocalObject::Break(std::vector<ReadPiece> pieces, Actions& actions) {
  if (!pieces.empty()) {
    queued_.emplace_back([self = shared_from_this(), waiting = std::move(pieces)] {
      Actions later;
      {
        const MutexLock lock(self->mutex_);
        self->Route(waiting, later);
      }
      later.Run();
    });
  }
  if (std::exchange(broken_, true)) return;
  trusted_ = false;
  loaded_.store(false, std::memory_order_release);  // What comes now queues.
  loaded_condition_.NotifyAll();
  spdlog::warn("cache.replaced object={}", id_.Describe());
  actions.Add([self = shared_from_this()] {
    // Where there is no thread any more, Shutdown answers those who wait.
    static_cast<void>(self->core_->sealer->Post([self] { self->Replace(); }));
  });
}

/// On the `seal` thread.
void LocalObject::Replace() {
  AwaitQuiet(kQuietTime);
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    if (!Idle()) {
      static_cast<void>(core_->sealer->Post([self = shared_from_this()] { self->Replace(); }));
      return;
    }
  }
  const auto known = core_->space->Find(digest_);
  core_->gone.Notify(digest_);
  // What could not be removed now is so before something new is written.
  if (const auto removed = core_->tier.RemoveObject(digest_); !removed) {
    core_->problems.Note("cache.evict_failed", removed.error());
  }
  core_->db->Remove(digest_);
  core_->space->Remove(digest_);
  if (known && known->pinned) {
    core_->db->SetPinned(id_, chunks_.chunk_size(), true);
    core_->space->SetPinned(digest_, true);
  }
  std::vector<std::move_only_function<void()>> queued;
  {
    const MutexLock lock(mutex_);
    // Kept open: whoever reads without the lock may have its number still.
    if (files_) retired_.push_back(std::move(files_));
    data_fd_.store(-1, std::memory_order_release);
    Emptied();
    broken_ = false;
    if (origin_) AddWish(Priority::kPlan, {.owner = 0, .next = 0, .end = chunks_.count()});
    loaded_.store(true, std::memory_order_release);
    queued.swap(queued_);
    loaded_condition_.NotifyAll();
  }
  for (auto& action : queued) action();
  core_->loader.Wake(shared_from_this(), Priority::kPlan);
}

/// Its files are gone.
void LocalObject::Emptied() {
  punches_.fetch_add(1);
  files_state_ = FilesState::kIdle;
  dirty_ = false;
  chunks_.Reset();
  sealed_ = was_sealed_ = trusted_ = proven_ = false;
  cold_ = true;
  recorder_.reset();
  recording_.store(false, std::memory_order_relaxed);
  Lost();
  Account();
}

}  // namespace modelfs::index
