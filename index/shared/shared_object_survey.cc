// What others do with the segments of an object.
#include <algorithm>
#include <stop_token>
#include <utility>

#include "index/shared/shared_object.h"
#include "index/shared/shared_tier.h"

namespace modelfs::index::shared {
namespace {

constexpr std::size_t kMostAges = 16;  ///< Claims that are looked at, at once.

std::chrono::milliseconds Since(std::chrono::steady_clock::time_point when) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               when);
}

}  // namespace

/// Looks again soon, as long as somebody waits for what others do.
void SharedObject::Poll() {
  bool now = false;
  std::chrono::milliseconds delay{};
  {
    const MutexLock lock(mutex_);
    if (closed_ || poll_armed_ || surveying_ || !folder_ || !tier_->Answers()) return;
    const bool waited = std::ranges::any_of(
        segments_, [](const auto& entry) { return !entry.second.waiters.empty(); });
    if (!waited && !parked_) return;
    now = !known_;
    poll_armed_ = !now;
    delay = poll_;
  }
  if (now) return StartSurvey();
  tier_->timer().After(delay, std::stop_token(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    {
      const MutexLock lock(self->mutex_);
      self->poll_armed_ = false;
    }
    self->StartSurvey();
  });
}

void SharedObject::StartSurvey() {
  SurveyQuestion question;
  std::shared_ptr<const SegmentFolder> folder;
  {
    const MutexLock lock(mutex_);
    if (closed_ || surveying_ || !folder_) return;
    surveying_ = true;
    folder = folder_;
    const Clock::time_point now = Clock::now();
    question.stamp = stamp_;
    question.list = !known_ || now - listed_ >= kList;
    if (now - ages_asked_ >= kAges) {
      ages_asked_ = now;
      for (const auto& [index, segment] : segments_) {
        if (segment.state != SegmentState::kTheirs || !segment.epoch) continue;
        if (question.claims.size() == kMostAges) break;
        question.claims.push_back(
            {.index = index, .epoch = *segment.epoch, .holder = segment.holder, .silent = {}});
      }
    }
  }
  tier_->pool().Run<Survey>(
      "survey", SharedTier::kReadLimit,
      [tier = tier_, folder, question = std::move(question)]() mutable -> Result<Survey> {
        if (auto fault = tier->faults().Hit("shared.survey"); fault) {
          return std::unexpected(*std::move(fault));
        }
        return LookAround(*folder, tier->heartbeat(), std::move(question));
      },
      [self = shared_from_this()](const Result<Survey>& survey) { self->Surveyed(survey); });
}

void SharedObject::Surveyed(const Result<Survey>& survey) {
  if (!survey) tier_->Failed(survey.error());
  std::vector<RequestPtr> waiters;
  bool changed = false;
  {
    const MutexLock lock(mutex_);
    surveying_ = false;
    if (closed_) return;
    changed = !known_;
    known_ = true;  // As far as it can be.
    if (survey) changed = Apply(*survey) || changed;
    poll_ = changed ? kFirstPoll : std::min(2 * poll_, kLongestPoll);
    waiters = TakeWaiters(tier_->Answers() ? Which::kThatMay : Which::kAll);
  }
  StepAll(waiters);
  if (changed) GoOn();
  Poll();
}

bool SharedObject::Apply(const Survey& survey) {
  bool changed = false;
  if (survey.listing) {
    listed_ = Clock::now();
    stamp_ = survey.stamp;
    used_ = used_ || !survey.listing->segments.empty();
    changed = ApplyListing(*survey.listing);
  }
  for (const TheirClaim& claim : survey.claims) {
    const auto it = segments_.find(claim.index);
    if (it == segments_.end()) continue;
    Segment& segment = it->second;
    if (segment.state != SegmentState::kTheirs || segment.epoch != claim.epoch) continue;
    segment.holder = claim.holder;
    if (!claim.silent) continue;
    segment.suspect = *claim.silent > Heartbeat::kSuspect;
    if (*claim.silent <= Heartbeat::kDead) continue;
    Move(segment, SegmentState::kAbsent);  // The epoch stays: the next claim is the one after it.
    changed = true;
  }
  return changed;
}

bool SharedObject::ApplyListing(const SegmentFolder::Listing& listing) {
  bool changed = false;
  for (const std::uint64_t index : listing.segments) {
    Segment& segment = segments_[index];
    const bool theirs = segment.state == SegmentState::kTheirs;
    if (!theirs && segment.state != SegmentState::kAbsent) continue;
    if (theirs) tier_->times().Add(Since(segment.since));
    Move(segment, SegmentState::kPresent);
    segment.epoch.reset();
    changed = true;
  }
  for (const auto& [index, epoch] : listing.claims) {
    Segment& segment = segments_[index];
    const bool theirs = segment.state == SegmentState::kTheirs;
    if (!theirs && segment.state != SegmentState::kAbsent) continue;
    if (std::exchange(segment.told, false)) tier_->times().AddLateness(Since(segment.since));
    if (segment.epoch && *segment.epoch >= epoch) continue;
    if (!theirs) {
      Move(segment, SegmentState::kTheirs);
      segment.since = Clock::now();
    }
    segment.epoch = epoch;
    segment.holder.clear();
  }
  for (auto& [index, segment] : segments_) {
    if (listing.claims.contains(index)) continue;
    if (segment.state == SegmentState::kAbsent) segment.epoch.reset();
    if (segment.state != SegmentState::kTheirs) continue;
    // One that we have met just now may be younger than the listing, or not show yet.
    if (Since(segment.since) < kUnseen) continue;
    Move(segment, SegmentState::kAbsent);  // They gave it up.
    segment.epoch.reset();
    changed = true;
  }
  return changed;
}

}  // namespace modelfs::index::shared
