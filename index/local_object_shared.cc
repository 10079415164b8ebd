// The object as the shared tier sees it, and what that says about reading ahead.
#include <algorithm>
#include <utility>

#include "index/local_object.h"
#include "index/shared/shared_object.h"

namespace modelfs::index {
namespace {

/// So many segments are asked about for one request.
constexpr std::size_t kLookAhead = 32;
/// Of so many that lie together, replicas begin with different ones. Far from each other they would
/// not fetch soon what their readers want next.
constexpr std::size_t kTogether = 8;

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
/// already. They lie in one segment. Where others are at it, each looks elsewhere first.
LocalObject::Outlook LocalObject::NextSharedRun(Wish& wish, std::uint64_t most,
                                                std::uint64_t& first, std::uint64_t& end) {
  while (wish.next < wish.end && chunks_.State(wish.next) != ChunkState::kAbsent) ++wish.next;
  if (wish.next >= wish.end) return Outlook::kNothing;
  // The first absent chunk of each segment.
  std::vector<std::uint64_t> absent;
  for (std::uint64_t at = wish.next; at < wish.end && absent.size() < kLookAhead;) {
    const std::uint64_t stop = std::min(wish.end, EndOfSegment(at));
    const std::uint64_t begun = at;
    while (at < stop && chunks_.State(at) != ChunkState::kAbsent) ++at;
    if (at < stop) absent.push_back(at);
    at = std::max(stop, begun + 1);
  }
  const std::size_t turn = shared_->Turn();
  for (std::size_t i = 0; i < absent.size(); ++i) {
    const std::size_t group = i / kTogether * kTogether;
    const std::size_t size = std::min(kTogether, absent.size() - group);
    const std::uint64_t at = absent[group + (i - group + turn % size) % size];
    if (!MayFetchAhead(at, wish.end)) continue;
    const std::uint64_t stop = std::min({wish.end, EndOfSegment(at), at + most});
    first = end = at;
    while (end < stop && chunks_.State(end) == ChunkState::kAbsent) ++end;
    return Outlook::kSome;
  }
  return Outlook::kLater;
}

/// One past the last chunk that begins in the segment of `chunk`.
std::uint64_t LocalObject::EndOfSegment(std::uint64_t chunk) const {
  const ByteRange segment = shared_->SegmentAt(chunks_.RangeOf(chunk).begin);
  return chunks_.IndexOf(segment.end - 1) + 1;
}

bool LocalObject::MayFetchAhead(std::uint64_t chunk, std::uint64_t wish_end) {
  const std::uint64_t begin = chunks_.RangeOf(chunk).begin;
  const ByteRange segment = shared_->SegmentAt(begin);
  const std::uint64_t end = chunks_.IndexOf(segment.end - 1) + 1;
  std::uint64_t here_bytes = 0;
  for (std::uint64_t c = chunks_.IndexOf(segment.begin); c < end; ++c) {
    if (chunks_.State(c) != ChunkState::kAbsent) here_bytes += chunks_.RangeOf(c).size();
  }
  return shared_->MayFetch({begin, chunks_.RangeOf(wish_end - 1).end}, here_bytes);
}

}  // namespace modelfs::index
