// What readers will want next: guessed from what they read, or known from a load before.
#include <algorithm>
#include <utility>

#include "index/local_object.h"

namespace modelfs::index {
namespace {

/// Smaller objects are here before a plan is made.
constexpr std::uint64_t kLeastPlanned = 8u << 20;
/// Reads outside of a profile that are no reason to doubt it: kernels read ahead.
constexpr std::uint64_t kStrayReads = 16;

}  // namespace

/// On the `open` thread, before anybody reads.
std::optional<AccessProfile> LocalObject::FindProfile() const {
  if (id_.size_bytes < kLeastPlanned) return std::nullopt;
  return AccessProfile::Find(*core_->records, id_);
}

void LocalObject::NoteRead(ByteRange read, Actions& actions) {
  if (closed_) return;
  if (cold_ && id_.size_bytes >= kLeastPlanned) StartPlan(actions);
  if (recorder_) recorder_->Note(read);
  furthest_read_ = std::max(furthest_read_, read.end);
  NoteTaken(read, actions);
  WishByLayout(actions);
  if (chunks_.whole() || StoreBroken() || FollowsProfile(read)) return;
  const ReadAhead::Advice advice = read_ahead_.Note(read);
  if (advice.window) {
    const ByteRange range = advice.window->range;
    AddWish(Priority::kNear, {.owner = advice.window->cursor,
                              .next = chunks_.IndexOf(range.begin),
                              .end = chunks_.IndexOf(range.end - 1) + 1});
    WakeLoader(Priority::kNear, actions);
  }
  if (advice.whole) WishWhole(actions);
}

/// All of it will be wanted, unless all readers go before.
void LocalObject::WishWhole(Actions& actions) {
  // What cannot be kept would be fetched for nothing.
  if (!core_->space->MayHold(id_.size_bytes)) return;
  WishForAll(kPlanOwner, actions);
}

/// The first read of an object of which nothing was here, or the first one of another reader while
/// it is being loaded: some loaders open a file anew for each tensor.
void LocalObject::StartPlan(Actions& actions) {
  cold_ = false;
  if (!recorder_) {
    recorder_ = std::make_unique<ProfileRecorder>(id_.size_bytes, chunks_.chunk_size());
    recording_.store(true, std::memory_order_relaxed);
  }
  StartLayout(actions);
  if (!profile_ || !core_->space->MayHold(profile_->bytes())) return;
  planned_.assign(chunks_.count(), false);
  stray_reads_ = 0;
  for (const ByteRange& range : profile_->ranges) {
    const Wish wish{.owner = kPlanOwner,
                    .next = chunks_.IndexOf(range.begin),
                    .end = chunks_.IndexOf(range.end - 1) + 1};
    std::fill(planned_.begin() + static_cast<std::ptrdiff_t>(wish.next),
              planned_.begin() + static_cast<std::ptrdiff_t>(wish.end), true);
    plan_.push_back(wish);
  }
  WakeLoader(Priority::kPlan, actions);
}

/// Whether a plan says what comes after this read. One that is wrong too often is given up.
bool LocalObject::FollowsProfile(ByteRange read) {
  if (planned_.empty()) return false;
  for (std::uint64_t c = chunks_.IndexOf(read.begin); c <= chunks_.IndexOf(read.end - 1); ++c) {
    if (planned_[c]) return true;
  }
  if (++stray_reads_ > kStrayReads + planned_.size() / 4) {
    planned_.clear();
    plan_.clear();
  }
  return !planned_.empty();
}

void LocalObject::ForgetWishes() {
  for (auto& wishes : wishes_) wishes.clear();
  plan_.clear();
}

/// Nobody reads it any more: what was only guessed that readers will want is not wanted.
void LocalObject::LetGo() {
  std::move_only_function<void()> forgotten;
  Actions actions;
  core_->unread.DropAll(this);
  {
    const MutexLock lock(mutex_);
    if (!outside_.expired()) return;  // Somebody else came.
    for (auto& wishes : wishes_) {
      std::erase_if(wishes, [](const Wish& wish) { return wish.owner != 0; });
    }
    plan_.clear();
    planned_.clear();
    read_ahead_.Forget();
    layout_wished_ = false;
    furthest_read_ = 0;
    taken_bytes_ = 0;
    forgotten = std::exchange(when_taken_, nullptr);
    SaveProfile(actions);
    cold_ = recorder_ != nullptr;
  }
  actions.Run();
}

/// Keeps what a first load has shown, for the next one. It may go on.
void LocalObject::SaveProfile(Actions& actions) {
  if (!recorder_) return;
  auto profile = recorder_->Profile(parts_);
  if (chunks_.whole() || closed_) {
    recording_.store(false, std::memory_order_relaxed);
    recorder_.reset();
  }
  // A load that was broken off knows less than one that was not.
  if (!profile || (profile_ && profile->bytes() < profile_->bytes() / 10 * 9)) return;
  if (profile_ && profile->ranges == profile_->ranges) return;
  actions.Add([self = shared_from_this(), encoded = profile->Encode()] {
    for (const std::string& key :
         {AccessProfile::KeyOf(self->id_), AccessProfile::LayoutKeyOf(self->id_)}) {
      std::ignore = self->core_->records->Put(RecordKind::kProfile, key, encoded);
    }
  });
  profile_ = std::move(*profile);
}

}  // namespace modelfs::index
