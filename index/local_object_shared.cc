// The object as the shared tier sees it, and what that says about reading ahead.
#include <algorithm>
#include <utility>

#include "index/local_object.h"
#include "index/shared/shared_object.h"

namespace modelfs::index {
namespace {

/// So many segments are asked about for one request.
constexpr int kLookAhead = 32;

}  // namespace

void LocalObject::ReadFromTiers(const std::shared_ptr<fetch::Origin>& origin, ByteRange range,
                                std::shared_ptr<fetch::BodySink> sink, Done<void> done) {
  if (shared_) return shared_->Read(origin, range, std::move(sink), std::move(done));
  origin->Read(id_, range, std::move(sink), std::move(done));
}

void LocalObject::Fetch(ByteRange range) { Want(range, Priority::kPlan); }

bool LocalObject::Holds(ByteRange range) const {
  if (range.empty() || !loaded()) return false;
  const MutexLock lock(mutex_);
  if (closed_ || broken_) return false;
  for (std::uint64_t c = chunks_.IndexOf(range.begin); c <= chunks_.IndexOf(range.end - 1); ++c) {
    if (chunks_.State(c) != ChunkState::kPresent) return false;
  }
  return true;
}

void LocalObject::ReadHere(std::uint64_t offset, std::span<std::byte> dst, Done<std::size_t> done) {
  ReadAs(Reader::kOurselves, offset, dst, std::move(done));
}

void LocalObject::GoOn() {
  Actions actions;
  {
    const MutexLock lock(mutex_);
    for (std::size_t i = 0; i < wishes_.size(); ++i) {
      const auto priority = static_cast<Priority>(i);
      if (!wishes_[i].empty() || (priority == Priority::kPlan && !plan_.empty())) {
        WakeLoader(priority, actions);
      }
    }
  }
  actions.Run();
}

/// The next absent chunks of a wish that are worth fetching now: not what another replica fetches
/// already. They lie in one segment.
LocalObject::Outlook LocalObject::NextSharedRun(Wish& wish, std::uint64_t most,
                                                std::uint64_t& first, std::uint64_t& end) {
  while (wish.next < wish.end && chunks_.State(wish.next) != ChunkState::kAbsent) ++wish.next;
  if (wish.next >= wish.end) return Outlook::kNothing;
  const std::uint64_t wish_end = chunks_.RangeOf(wish.end - 1).end;
  std::uint64_t at = wish.next;
  for (int asked = 0; at < wish.end && asked < kLookAhead; ++asked) {
    const ByteRange segment = shared_->SegmentAt(chunks_.RangeOf(at).begin);
    const std::uint64_t segment_end = chunks_.IndexOf(segment.end - 1) + 1;
    const std::uint64_t stop = std::min(wish.end, segment_end);
    const std::uint64_t begun = at;
    while (at < stop && chunks_.State(at) != ChunkState::kAbsent) ++at;
    if (at == stop) continue;
    std::uint64_t here_bytes = 0;
    for (std::uint64_t c = chunks_.IndexOf(segment.begin); c < segment_end; ++c) {
      if (chunks_.State(c) != ChunkState::kAbsent) here_bytes += chunks_.RangeOf(c).size();
    }
    if (shared_->MayFetch({chunks_.RangeOf(at).begin, wish_end}, here_bytes)) {
      first = end = at;
      while (end < stop && end - first < most && chunks_.State(end) == ChunkState::kAbsent) ++end;
      return Outlook::kSome;
    }
    at = std::max(stop, begun + 1);
  }
  return Outlook::kLater;
}

}  // namespace modelfs::index
