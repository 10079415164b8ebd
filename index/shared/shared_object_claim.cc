// Undertaking to fetch a segment for all.
#include <algorithm>
#include <stop_token>
#include <utility>

#include "index/shared/shared_object.h"
#include "index/shared/shared_tier.h"

namespace modelfs::index::shared {

bool SharedObject::MayClaim(const Segment& segment) const {
  return tier_->MayPublish() && Clock::now() >= segment.claim_from;
}

void SharedObject::BeginClaim(std::uint64_t index, Segment& segment) {
  Move(segment, SegmentState::kClaiming);
  segment.unasked_bytes = folder_->layout().RangeOf(index).size();
  tier_->Undertake(segment.unasked_bytes);
}

void SharedObject::Claim(std::uint64_t index) {
  if (const auto wait = tier_->JitterLeft(); wait.count() > 0) {
    tier_->timer().After(wait + std::chrono::milliseconds(1), std::stop_token(),
                         [weak = weak_from_this(), index] {
                           if (const auto self = weak.lock()) self->Claim(index);
                         });
    return;
  }
  std::shared_ptr<const SegmentFolder> folder;
  std::optional<std::uint32_t> seen;
  {
    const MutexLock lock(mutex_);
    folder = folder_;
    seen = segments_[index].epoch;
  }
  tier_->pool().Run<Claimed>(
      "claim", SharedTier::kPublishLimit,
      [tier = tier_, folder, index, epoch = seen ? *seen + 1 : 0] {
        return TryClaim(*tier, *folder, index, epoch);
      },
      [self = shared_from_this(), index](Result<Claimed> claimed) {
        self->ClaimAnswered(index, std::move(claimed));
      });
}

/// On a thread of the pool.
Result<SharedObject::Claimed> SharedObject::TryClaim(SharedTier& tier, const SegmentFolder& folder,
                                                     std::uint64_t index, std::uint32_t epoch) {
  if (auto fault = tier.faults().Hit("shared.claim"); fault) {
    return std::unexpected(*std::move(fault));
  }
  // Who finds the claim must find us alive.
  if (auto beaten = tier.heartbeat().Beat(Heartbeat::kInterval / 2); !beaten) {
    return std::unexpected(std::move(beaten.error()));
  }
  auto placed = folder.Claim(index, epoch);
  if (!placed && placed.error().code == Errc::kNotFound) {
    if (auto prepared = folder.Prepare(); !prepared) {
      return std::unexpected(std::move(prepared.error()));
    }
    placed = folder.Claim(index, epoch);
  }
  if (!placed) return std::unexpected(std::move(placed.error()));
  Claimed claimed{.state = SegmentState::kTheirs, .epoch = epoch, .writer = nullptr};
  if (*placed == Placed::kTaken) return claimed;
  // Perhaps it was published, and its claim removed, since we looked last.
  const auto published = folder.Has(index);
  auto writer = published && *published ? Result<std::unique_ptr<SegmentWriter>>()
                                        : folder.New(index, tier.block_bytes());
  if (!writer && writer.error().code == Errc::kNotFound && folder.Prepare()) {
    writer = folder.New(index, tier.block_bytes());
  }
  if (writer && *writer) {
    claimed.state = SegmentState::kOurs;
    claimed.writer = std::move(*writer);
    return claimed;
  }
  std::ignore = folder.Release(index, epoch);
  if (!writer) return std::unexpected(std::move(writer.error()));
  claimed.state = SegmentState::kPresent;
  return claimed;
}

void SharedObject::ClaimAnswered(std::uint64_t index, Result<Claimed> claimed) {
  if (claimed && claimed->state == SegmentState::kOurs) {
    return Undertake(index, std::move(*claimed));
  }
  if (!claimed) tier_->WriteFailed(claimed.error());
  std::uint64_t unasked = 0;
  std::vector<RequestPtr> waiters;
  {
    const MutexLock lock(mutex_);
    Segment& segment = segments_[index];
    unasked = std::exchange(segment.unasked_bytes, 0);
    if (!claimed) {
      Move(segment, SegmentState::kAbsent);
      segment.claim_from = Clock::now() + kClaimAgain;
    } else {
      Move(segment, claimed->state);
      segment.since = Clock::now();
      segment.epoch = claimed->epoch;
      segment.holder.clear();
      segment.told = claimed->state == SegmentState::kTheirs;
    }
    waiters = TakeWaiters(Which::kThatMay);
  }
  tier_->Requested(unasked);
  StepAll(waiters);
  GoOn();
  Poll();
}

void SharedObject::Undertake(std::uint64_t index, Claimed claimed) {
  std::shared_ptr<const SegmentFolder> folder;
  {
    const MutexLock lock(mutex_);
    folder = folder_;
  }
  SharedCounters& counters = tier_->counters();
  counters.claims.fetch_add(1, std::memory_order_relaxed);
  if (claimed.epoch > 0) counters.takeovers.fetch_add(1, std::memory_order_relaxed);
  tier_->ClaimHeld(1);
  // Closing a file waits for the server, so that it is done by those who may.
  const std::shared_ptr<SegmentWriter> writer(
      claimed.writer.release(), [tier = tier_](SegmentWriter* last) {
        tier->pool().Run<void>(
            "close", SharedTier::kPublishLimit,
            [owner = std::unique_ptr<SegmentWriter>(last)]() mutable -> Result<void> {
              owner.reset();
              return {};
            },
            [](const Result<void>&) {});
      });
  auto fill = std::make_shared<SegmentFill>(
      SegmentFill::Options{.tier = tier_,
                           .folder = folder,
                           .copy = copy_,
                           .index = index,
                           .epoch = claimed.epoch,
                           .block_bytes = tier_->block_bytes(),
                           .writer = writer,
                           .ended = [weak = weak_from_this(), tier = tier_, index](bool published) {
                             tier->ClaimHeld(-1);
                             if (const auto self = weak.lock()) self->Filled(index, published);
                           }});
  const std::uint64_t here = fill->BytesHere();
  std::uint64_t settled = 0;
  std::vector<RequestPtr> waiters;
  bool closed = false;
  {
    const MutexLock lock(mutex_);
    closed = closed_;
    Segment& segment = segments_[index];
    Move(segment, SegmentState::kOurs);
    segment.since = Clock::now();
    segment.epoch = claimed.epoch;
    segment.fill = fill;
    used_ = true;
    settled = std::min(here, segment.unasked_bytes);
    segment.unasked_bytes -= settled;
    waiters = TakeWaiters(Which::kThatMay);
  }
  tier_->Requested(settled);
  if (closed) return fill->Abandon();
  StepAll(waiters);
  fill->Start();
  GoOn();
}

void SharedObject::Filled(std::uint64_t index, bool published) {
  std::shared_ptr<SegmentFill> fill;
  std::vector<RequestPtr> waiters;
  std::uint64_t unasked = 0;
  {
    const MutexLock lock(mutex_);
    Segment& segment = segments_[index];
    if (segment.state != SegmentState::kOurs) return;
    Move(segment, published ? SegmentState::kPresent : SegmentState::kAbsent);
    fill = std::exchange(segment.fill, nullptr);
    unasked = std::exchange(segment.unasked_bytes, 0);
    segment.epoch.reset();
    if (!published) segment.claim_from = Clock::now() + kClaimAgain;
    waiters = TakeWaiters(Which::kThatMay);
  }
  tier_->Requested(unasked);
  StepAll(waiters);
  GoOn();
}

}  // namespace modelfs::index::shared
