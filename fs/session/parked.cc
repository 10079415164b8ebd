#include "fs/session/parked.h"

#include <cerrno>
#include <utility>
#include <vector>

namespace modelfs::fs {

std::optional<Reply> Parked::Take() {
  if (taken_.exchange(true)) return std::nullopt;
  // Waits for an OnInterrupt that is running; after this none can start.
  fuse_req_interrupt_func(request_, nullptr, nullptr);
  lot_->Forget(this);
  return Reply(request_);
}

void Parked::OnInterrupt(fuse_req_t request, void* self) noexcept {
  auto* parked = static_cast<Parked*>(self);
  // Whoever loses here must not touch `parked` again, and whoever wins only until its owner in the
  // lot is dropped: a copy keeps it.
  std::shared_ptr<ParkingLot> lot = parked->lot_;
  if (parked->taken_.exchange(true)) return;
  lot->Forget(parked);
  fuse_reply_err(request, EINTR);
}

std::shared_ptr<Parked> ParkingLot::Park(fuse_req_t request) {
  const auto deadline = timeout_.count() > 0 ? std::chrono::steady_clock::now() + timeout_
                                             : std::chrono::steady_clock::time_point::max();
  auto parked = std::make_shared<Parked>(request, shared_from_this(), deadline);
  // First the interrupt, then the lot: whoever finds it in the lot may answer and free the request.
  fuse_req_interrupt_func(request, &Parked::OnInterrupt, parked.get());
  bool closed = false;
  {
    MutexLock lock(mutex_);
    closed = closed_;
    if (!closed) parked_.emplace(parked.get(), parked);
  }
  if (closed) {
    if (auto reply = parked->Take()) reply->Errno(EIO);
  } else if (parked->taken_.load()) {
    Forget(parked.get());  // Interrupted before it stood in the lot.
  }
  return parked;
}

void ParkingLot::Forget(Parked* parked) {
  std::shared_ptr<Parked> last;  // Destroyed after the lock is released.
  MutexLock lock(mutex_);
  auto found = parked_.find(parked);
  if (found == parked_.end()) return;
  last = std::move(found->second);
  parked_.erase(found);
  lock.Unlock();
}

void ParkingLot::Expire(std::chrono::steady_clock::time_point now) {
  std::vector<std::shared_ptr<Parked>> late;
  {
    MutexLock lock(mutex_);
    for (const auto& [raw, parked] : parked_) {
      if (parked->deadline_ <= now) late.push_back(parked);
    }
  }
  for (const auto& parked : late) {
    if (auto reply = parked->Take()) reply->Errno(EIO);
  }
}

void ParkingLot::Close() {
  std::vector<std::shared_ptr<Parked>> all;
  {
    MutexLock lock(mutex_);
    closed_ = true;
    for (const auto& [raw, parked] : parked_) all.push_back(parked);
  }
  for (const auto& parked : all) {
    if (auto reply = parked->Take()) reply->Errno(EIO);
  }
}

std::size_t ParkingLot::size() const {
  MutexLock lock(mutex_);
  return parked_.size();
}

}  // namespace modelfs::fs
