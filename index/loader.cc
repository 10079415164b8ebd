#include "index/loader.h"

#include <algorithm>
#include <utility>

namespace modelfs::index {

void Loader::Queue(std::shared_ptr<Prefetcher> who, Priority priority) {
  auto& queue = queues_[static_cast<std::size_t>(priority)];
  if (std::find(queue.begin(), queue.end(), who) == queue.end()) queue.push_back(std::move(who));
}

void Loader::Wake(std::shared_ptr<Prefetcher> who, Priority priority) {
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    Queue(std::move(who), priority);
  }
  Pump();
}

void Loader::Finished(std::uint64_t bytes) {
  {
    const MutexLock lock(mutex_);
    --in_flight_;
    bytes_in_flight_ -= bytes;
  }
  Pump();
}

void Loader::Close() {
  std::array<std::deque<std::shared_ptr<Prefetcher>>, 4> dropped;
  const MutexLock lock(mutex_);
  closed_ = true;
  dropped.swap(queues_);
}

bool Loader::MayStart(Priority priority) const {
  if (in_flight_ == 0) return true;  // Whoever ends starts the next, so somebody must be under way.
  if (in_flight_ >= (priority == Priority::kBackground ? kMostBackground : kMostInFlight)) {
    return false;
  }
  return bytes_in_flight_ < link_.WindowBytes(priority);
}

bool Loader::Next(Turn& turn) {
  if (closed_) return false;
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    const auto priority = static_cast<Priority>(i);
    if (queues_[i].empty()) continue;
    if (!MayStart(priority)) return false;
    turn = {std::move(queues_[i].front()), priority};
    queues_[i].pop_front();
    ++in_flight_;
    return true;
  }
  return false;
}

void Loader::Pump() {
  MutexLock lock(mutex_);
  // One pump at a time: a request that completes inside its start would else recurse.
  if (pumping_) {
    again_ = true;
    return;
  }
  pumping_ = true;
  for (;;) {
    again_ = false;
    Turn turn;
    while (Next(turn)) {
      lock.Unlock();
      std::uint64_t bytes = 0;
      const Prefetcher::Outcome outcome = turn.who->StartPrefetch(turn.priority, bytes);
      lock.Lock();
      // Wraps where the request is over already, as it should.
      bytes_in_flight_ += bytes;
      if (outcome == Prefetcher::Outcome::kStarted) {
        if (!closed_) Queue(std::move(turn.who), turn.priority);
        continue;
      }
      --in_flight_;
      if (outcome == Prefetcher::Outcome::kNothing) {
        lock.Unlock();
        turn.who.reset();  // May be the last reference.
        lock.Lock();
        continue;
      }
      if (!closed_) queues_[static_cast<std::size_t>(turn.priority)].push_front(turn.who);
      break;  // RoomAgain goes on.
    }
    if (!again_) break;
  }
  pumping_ = false;
}

}  // namespace modelfs::index
