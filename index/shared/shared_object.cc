#include "index/shared/shared_object.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <stop_token>
#include <utility>

#include "index/shared/shared_tier.h"

namespace modelfs::index::shared {

SharedObject::SharedObject(std::shared_ptr<SharedTier> tier, fetch::ObjectId id,
                           std::weak_ptr<LocalCopy> copy)
    : tier_(std::move(tier)), id_(std::move(id)), copy_(std::move(copy)) {}

SharedObject::~SharedObject() = default;

void SharedObject::Move(Segment& segment, SegmentState to) {
  assert(MayMove(segment.state, to));
  segment.state = to;
  segment.suspect = segment.told = false;
  met_others_ = met_others_ || to == SegmentState::kTheirs;
}

/// Whether the directory has answered once, so that it is known how objects are cut.
bool SharedObject::Ready() {
  if (folder_) return true;
  const auto bytes = tier_->segment_bytes();
  if (!bytes) return false;
  folder_ = std::make_shared<SegmentFolder>(
      tier_->files(), id_, SegmentLayout(id_.size_bytes, *bytes), tier_->heartbeat().instance());
  return true;
}

std::size_t SharedObject::Turn() const {
  const MutexLock lock(mutex_);
  return met_others_ ? std::hash<std::string>()(tier_->heartbeat().instance()) : 0;
}

ByteRange SharedObject::SegmentAt(std::uint64_t offset) const {
  const MutexLock lock(mutex_);
  if (!folder_) return {0, id_.size_bytes};
  return folder_->layout().RangeOf(folder_->layout().IndexOf(offset));
}

void SharedObject::Step(const RequestPtr& request) {
  if (request->left.empty()) return Finish(request, {});
  std::shared_ptr<SegmentFill> fill;
  ByteRange part = request->left;
  std::uint64_t index = 0;
  std::uint64_t requested = 0;
  Way way = Way::kOrigin;
  {
    const MutexLock lock(mutex_);
    if (closed_) {
      way = Way::kCancelled;
    } else if (Ready()) {
      index = folder_->layout().IndexOf(part.begin);
      part = part.Intersect(folder_->layout().RangeOf(index));
      Segment& segment = segments_[index];
      if (part.begin < request->direct_to) {
        part.end = std::min(part.end, request->direct_to);
      } else {
        way = Choose(request, index, part, segment);
      }
      if (way == Way::kOurs || (way == Way::kOrigin && segment.fill)) {
        fill = segment.fill;
        requested = std::min(segment.unasked_bytes, part.size());
        segment.unasked_bytes -= requested;
      }
    }
  }
  tier_->Requested(requested);
  switch (way) {
    case Way::kShared: return FromShared(request, index, part);
    case Way::kOurs:
    case Way::kOrigin: return FromOrigin(request, part, fill);
    case Way::kClaim: Claim(index); return Poll();
    case Way::kWait: return Poll();
    case Way::kCancelled: return Finish(request, Fail(Errc::kCancelled, "read: shutting down"));
  }
}

SharedObject::Way SharedObject::Choose(const RequestPtr& request, std::uint64_t index,
                                       ByteRange part, Segment& segment) {
  if (request->waits_in != index) segment.asked_bytes += part.size();
  if (!tier_->Answers()) return Way::kOrigin;
  if (segment.state == SegmentState::kOurs) return Way::kOurs;
  if (segment.state == SegmentState::kPresent) return Way::kShared;
  if (tier_->health().slow()) return Way::kOrigin;
  if (!known_ || segment.state == SegmentState::kClaiming) return Wait(request, index, segment);
  if (segment.state == SegmentState::kTheirs) {
    // The head of a file is what somebody who opens it waits for: one chunk.
    if (index == 0 && IsLittle(segment.asked_bytes)) return Way::kOrigin;
    if (!segment.suspect) return Wait(request, index, segment);
    tier_->counters().hedges.fetch_add(1, std::memory_order_relaxed);
    return Way::kOrigin;
  }
  if (IsLittle(segment.asked_bytes) || !MayClaim(segment)) return Way::kOrigin;
  BeginClaim(index, segment);
  const Way wait = Wait(request, index, segment);
  return wait == Way::kWait ? Way::kClaim : wait;
}

/// Whether so much of a segment is no reason to fetch all of it.
bool SharedObject::IsLittle(std::uint64_t bytes) const {
  if (bytes >= std::min(id_.size_bytes, folder_->layout().segment_bytes())) return false;
  return bytes <= std::max<std::uint64_t>(tier_->block_bytes(),
                                          folder_->layout().segment_bytes() / kWorthwhile);
}

SharedObject::Way SharedObject::Wait(const RequestPtr& request, std::uint64_t index,
                                     Segment& segment) {
  const Clock::time_point now = Clock::now();
  if (request->waits_in != index) {
    const auto patience = tier_->times().Hedge(SharedTier::kLongestHedge, segment.told);
    request->waits_in = index;
    request->hedge_at = now + patience;
    // It fires also when the directory does not answer any more.
    tier_->timer().After(patience, std::stop_token(),
                         [weak = weak_from_this(), waits = std::weak_ptr(request), index] {
                           const auto self = weak.lock();
                           const auto waiter = waits.lock();
                           if (self && waiter) self->Hedge(waiter, index);
                         });
  } else if (now >= request->hedge_at) {
    tier_->counters().hedges.fetch_add(1, std::memory_order_relaxed);
    return Way::kOrigin;
  }
  segment.waiters.push_back(request);
  return Way::kWait;
}

void SharedObject::Hedge(const RequestPtr& request, std::uint64_t index) {
  {
    const MutexLock lock(mutex_);
    if (std::erase(segments_[index].waiters, request) == 0) return;  // It does not wait any more.
  }
  Step(request);
}

void SharedObject::Finish(const RequestPtr& request, Result<void> result) {
  request->sink.reset();
  std::exchange(request->done, nullptr)(std::move(result));
}

bool SharedObject::MayFetch(ByteRange wanted, std::uint64_t here_bytes) {
  const MutexLock lock(mutex_);
  if (closed_ || !tier_->Answers() || tier_->health().slow() || !Ready()) return true;
  if (!known_) {
    parked_ = true;
    return false;
  }
  const std::uint64_t index = folder_->layout().IndexOf(wanted.begin);
  const ByteRange part = wanted.Intersect(folder_->layout().RangeOf(index));
  Segment& segment = segments_[index];
  const bool little = IsLittle(here_bytes + part.size());
  switch (segment.state) {
    case SegmentState::kOurs:
    case SegmentState::kPresent: return true;
    case SegmentState::kTheirs:
      if (index == 0 && little) return true;
      break;
    case SegmentState::kClaiming: break;
    case SegmentState::kAbsent:
      if (little || !MayClaim(segment)) return true;
      if (tier_->MayUndertake()) {
        BeginClaim(index, segment);
        claims_due_.push_back(index);
      } else {
        tier_->AwaitTurn(weak_from_this());
      }
      break;
  }
  parked_ = true;
  return false;
}

void SharedObject::Pump() {
  std::vector<std::uint64_t> claims;
  {
    const MutexLock lock(mutex_);
    claims.swap(claims_due_);
  }
  for (const std::uint64_t index : claims) Claim(index);
  Poll();
}

void SharedObject::GoOn() {
  {
    const MutexLock lock(mutex_);
    if (closed_ || !std::exchange(parked_, false)) return;
  }
  if (const auto copy = copy_.lock()) copy->GoOn();
}

void SharedObject::Close() {
  std::vector<RequestPtr> waiters;
  std::vector<std::shared_ptr<SegmentFill>> fills;
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    waiters = TakeWaiters(Which::kAll);
    for (auto& [index, segment] : segments_) {
      if (segment.fill) fills.push_back(segment.fill);
    }
  }
  for (const RequestPtr& request : waiters) {
    Finish(request, Fail(Errc::kCancelled, "read: shutting down"));
  }
  for (const auto& fill : fills) fill->Abandon();
}

void SharedObject::Nudge() {
  std::vector<RequestPtr> waiters;
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    waiters = TakeWaiters(Which::kAll);
  }
  StepAll(waiters);
  GoOn();
}

std::vector<SharedObject::RequestPtr> SharedObject::TakeWaiters(Which which) {
  std::vector<RequestPtr> taken;
  for (auto& [index, segment] : segments_) {
    const bool waits = segment.state == SegmentState::kClaiming ||
                       (segment.state == SegmentState::kTheirs && !segment.suspect);
    if (which == Which::kThatMay && waits) continue;
    std::ranges::move(segment.waiters, std::back_inserter(taken));
    segment.waiters.clear();
  }
  return taken;
}

void SharedObject::StepAll(const std::vector<RequestPtr>& requests) {
  for (const RequestPtr& request : requests) Step(request);
}

void SharedObject::MarkUse() {
  std::shared_ptr<const SegmentFolder> folder;
  {
    const MutexLock lock(mutex_);
    if (closed_ || !used_) return;
    folder = folder_;
  }
  tier_->pool().Run<void>(
      "mark", SharedTier::kPublishLimit, [folder] { return folder->MarkUse(); },
      [tier = tier_](const Result<void>& marked) {
        if (!marked) tier->Failed(marked.error());
      });
}

}  // namespace modelfs::index::shared
