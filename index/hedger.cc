#include "index/hedger.h"

#include <algorithm>

namespace modelfs::index {

Hedger::Clock::time_point Hedger::LastHeard(const Watched& watched) {
  const Clock::rep heard = watched.heard_.load(std::memory_order_relaxed);
  return heard == 0 ? watched.sent_ : Clock::time_point(Clock::duration(heard));
}

std::shared_ptr<Hedger::Watched> Hedger::Sent(const std::string& source,
                                              std::weak_ptr<Hedgeable> who) {
  if (timer_ == nullptr) return nullptr;
  auto watched = std::make_shared<Watched>(source, std::move(who), timer_->Now());
  {
    const MutexLock lock(mutex_);
    if (closed_) return nullptr;
    if (sources_.size() >= kMostSources && !sources_.contains(source)) {
      std::erase_if(sources_, [](const auto& known) { return known.second.hedges == 0; });
    }
    sources_[source];
    watched_.push_back(watched);
    if (std::exchange(ticking_, true)) return watched;
  }
  Arm();
  return watched;
}

void Hedger::Arm() {
  timer_->After(kTick, stop_.get_token(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Tick();
  });
}

void Hedger::Heard(Watched* watched, std::uint64_t bytes) {
  if (watched == nullptr) return;
  heard_.fetch_add(bytes, std::memory_order_relaxed);
  const Clock::time_point now = timer_->Now();
  const Clock::rep before =
      watched->heard_.exchange(now.time_since_epoch().count(), std::memory_order_relaxed);
  if (before != 0) {
    const Clock::rep gap = now.time_since_epoch().count() - before;
    if (gap > watched->longest_gap_.load(std::memory_order_relaxed)) {
      watched->longest_gap_.store(gap, std::memory_order_relaxed);
    }
    return;
  }
  const MutexLock lock(mutex_);
  sources_[watched->source_].pace.FirstByte(watched->sent_, now);
}

void Hedger::Won(Watched* watched) {
  if (watched == nullptr) return;
  won_.fetch_add(1, std::memory_order_relaxed);
  const MutexLock lock(mutex_);
  watched->answered_ = true;
  sources_[watched->source_].blind_after = {};  // It was worth it.
}

void Hedger::Over(const std::shared_ptr<Watched>& watched) {
  if (!watched) return;
  const MutexLock lock(mutex_);
  const auto found = std::ranges::find(watched_, watched);
  if (found == watched_.end()) return;
  std::swap(*found, watched_.back());
  watched_.pop_back();
  Source& source = sources_[watched->source_];
  if (watched->heard_.load(std::memory_order_relaxed) != 0) {
    const auto gap = watched->longest_gap_.load(std::memory_order_relaxed);
    source.pace.LongestGap(Clock::duration(gap));
  }
  if (!watched->hedged_) return;
  --source.hedges;
  reserved_ -= watched->reserved_;
}

void Hedger::Close() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    watched_.clear();
  }
  stop_.request_stop();
}

std::uint64_t Hedger::Left() const {
  const std::uint64_t most = kAllowance + heard_.load(std::memory_order_relaxed) / kShare;
  const MutexLock lock(mutex_);
  const std::uint64_t gone = wasted_bytes() + reserved_;
  return gone < most ? most - gone : 0;
}

bool Hedger::May(const Source& source, Clock::time_point silent_since,
                 Clock::time_point now) const {
  if (source.hedges >= kMostAtOnce) return false;
  if (source.pace.OthersAreQuickSince(silent_since)) {
    return source.slow <= std::max(1, source.flying / 4);
  }
  return source.slow <= 1 && now >= source.blind_after;
}

void Hedger::Look(Clock::time_point now, Requests& late, Requests& hopeless) {
  for (auto& [name, source] : sources_) source.flying = source.slow = 0;
  struct Seen {
    std::shared_ptr<Watched> watched;
    Source* source;
    Clock::duration patience;
    Clock::time_point since;
  };
  std::vector<Seen> silent;
  for (const auto& watched : watched_) {
    Source& source = sources_[watched->source_];
    ++source.flying;
    const bool waits_for_first = watched->heard_.load(std::memory_order_relaxed) == 0;
    const auto patience = source.pace.Patience(waits_for_first);
    const Clock::time_point since = LastHeard(*watched);
    if (!patience || now - since <= *patience / 2) continue;
    ++source.slow;
    silent.push_back({watched, &source, *patience, since});
  }
  for (const Seen& seen : silent) {
    if (const auto hedged = seen.watched->hedged_) {
      const bool tried = seen.watched->answered_ || seen.watched->reserved_ == 0;
      if (!tried && now - *hedged > 2 * seen.patience) {
        hopeless.push_back(seen.watched);
      }
    } else if (now - seen.since > seen.patience && May(*seen.source, seen.since, now)) {
      late.push_back(seen.watched);
    }
  }
}

void Hedger::Tick() {
  Requests late;
  Requests hopeless;
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    if (watched_.empty()) {
      ticking_ = false;
      return;
    }
    if (enabled_.load(std::memory_order_relaxed)) Look(timer_->Now(), late, hopeless);
  }
  for (const auto& watched : hopeless) {
    if (const auto who = watched->who_.lock()) who->DropHedge();
  }
  for (const auto& watched : late) TryHedge(watched);
  Arm();
}

void Hedger::TryHedge(const std::shared_ptr<Watched>& watched) {
  const auto who = watched->who_.lock();
  if (!who) return;
  const std::uint64_t most = Left();
  {
    // What was sent for one may have used up what another was promised.
    const MutexLock lock(mutex_);
    if (closed_ || !May(sources_[watched->source_], LastHeard(*watched), timer_->Now())) return;
    // Before it is sent: its answer may be here before this function goes on.
    watched->hedged_ = timer_->Now();
    watched->reserved_ = most;
    reserved_ += most;
    ++sources_[watched->source_].hedges;
  }
  const std::uint64_t bytes = who->Hedge(most);
  if (bytes > 0) sent_.fetch_add(1, std::memory_order_relaxed);
  const MutexLock lock(mutex_);
  Source& source = sources_[watched->source_];
  if (bytes > 0 && !source.pace.OthersAreQuickSince(LastHeard(*watched)) && !watched->answered_) {
    source.blind_after = timer_->Now() + kBlindPause;
  }
  if (std::ranges::find(watched_, watched) == watched_.end()) return;  // Over already.
  reserved_ -= most - bytes;
  watched->reserved_ = bytes;
  if (bytes > 0) return;
  --source.hedges;
  watched->hedged_.reset();
}

}  // namespace modelfs::index
