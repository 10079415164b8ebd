// What others want of an object that its own readers do not ask for.
#include <utility>

#include "index/local_object.h"

namespace modelfs::index {

void LocalObject::WhenTaken(std::move_only_function<void()> action) {
  std::move_only_function<void()> old;  // What it holds may end with it: not under the lock.
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    old = std::exchange(when_taken_, std::move(action));
    NoteTaken({}, actions);
  }
  actions.Run();
}

void LocalObject::NoteTaken(ByteRange read, Actions& actions) {
  taken_bytes_ += read.size();
  if (taken_bytes_ < id_.size_bytes / 2 || !when_taken_) return;
  actions.Add([self = shared_from_this(), action = std::exchange(when_taken_, nullptr)]() mutable {
    self->OnPlanThread(std::move(action));
  });
}

bool LocalObject::WantAhead(std::uint64_t more_bytes, Ahead ahead) {
  if (!loaded()) return false;
  const std::uint64_t missing = id_.size_bytes - chunks_.present_bytes();
  const std::uint64_t free = core_->tier.FreeBytes().value_or(0);
  if (core_->space->Missing(missing + more_bytes, free) > 0) return false;
  Actions actions;
  {
    const MutexLock lock(mutex_);
    if (closed_ || changed_ || corrupt_ || stream_only_ || StoreBroken()) return false;
    wishes_[static_cast<std::size_t>(Priority::kPlan)].push_back(
        {.owner = 0,
         .next = 0,
         .end = chunks_.count(),
         .ahead = std::make_shared<Ahead>(std::move(ahead))});
    WakeLoader(Priority::kPlan, actions);
  }
  actions.Run();
  return true;
}

}  // namespace modelfs::index
