#include "fs/session/parked.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace modelfs::fs {
namespace {

/// How long a file counts as late after one of its reads missed the deadline.
constexpr std::chrono::seconds kLateFor{1};
/// What the next reads of such a file wait: what has come meanwhile is worth it.
constexpr std::chrono::milliseconds kLateWait{100};

}  // namespace

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

ParkingLot::Clock::time_point ParkingLot::DeadlineOf(std::uint64_t node,
                                                     Clock::time_point now) const {
  if (timeout_.count() <= 0) return Clock::time_point::max();
  MutexLock lock(mutex_);
  const auto late = late_.find(node);
  const bool is_late = late != late_.end() && now < late->second + kLateFor;
  return now + (is_late ? std::min(timeout_, kLateWait) : timeout_);
}

std::shared_ptr<Parked> ParkingLot::Park(fuse_req_t request, std::uint64_t node) {
  auto parked =
      std::make_shared<Parked>(request, shared_from_this(), node, DeadlineOf(node, Clock::now()));
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
    std::erase_if(late_, [now](const auto& file) { return file.second + kLateFor <= now; });
    for (const auto& [raw, parked] : parked_) {
      if (parked->deadline_ > now) continue;
      late.push_back(parked);
      if (parked->node_ != 0) late_.emplace(parked->node_, now);  // An earlier time stays.
    }
  }
  std::size_t failed = 0;
  for (const auto& parked : late) {
    if (auto reply = parked->Take()) {
      reply->Errno(EIO);
      ++failed;
    }
  }
  if (failed > 0) {
    spdlog::warn("session.request_late count={} after_ms={}: answered with EIO", failed,
                 timeout_.count());
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
