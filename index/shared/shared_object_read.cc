// Where the bytes of an object come from.
#include <algorithm>
#include <utility>

#include "fetch/forwarding_sink.h"
#include "index/shared/shared_object.h"
#include "index/shared/shared_tier.h"

namespace modelfs::index::shared {
namespace {

/// Counts what comes from an origin.
class MeterSink final : public fetch::ForwardingSink {
 public:
  MeterSink(std::shared_ptr<SharedTier> tier, std::shared_ptr<fetch::BodySink> sink)
      : ForwardingSink(std::move(sink)), tier_(std::move(tier)) {}
  void Append(std::span<const std::byte> bytes) override {
    tier_->health().OriginArrived(bytes.size());
    tier_->counters().origin_bytes.fetch_add(bytes.size(), std::memory_order_relaxed);
    ForwardingSink::Append(bytes);
  }

 private:
  const std::shared_ptr<SharedTier> tier_;
};

}  // namespace

void SharedObject::Read(const std::shared_ptr<fetch::Origin>& origin, ByteRange range,
                        std::shared_ptr<fetch::BodySink> sink, Done<void> done) {
  auto request = std::make_shared<Request>();
  request->origin = origin;
  request->left = range;
  request->sink = std::move(sink);
  request->done = std::move(done);
  Step(request);
}

void SharedObject::FromOrigin(const RequestPtr& request, ByteRange part,
                              const std::shared_ptr<SegmentFill>& fill) {
  const auto origin = request->origin.lock();
  if (!origin) {
    for (auto& later : tier_->health().OriginEnded()) later();  // It may have been a measurement.
    return Finish(request, Fail(Errc::kCancelled, "read: the origin is gone"));
  }
  std::shared_ptr<fetch::BodySink> sink = std::make_shared<MeterSink>(tier_, request->sink);
  if (fill) sink = fill->Tee(part.begin, std::move(sink));
  tier_->health().OriginBegan();
  origin->Read(id_, part, std::move(sink),
               [self = shared_from_this(), request, part](Result<void> result) {
                 for (auto& later : self->tier_->health().OriginEnded()) later();
                 if (!result) return self->Finish(request, std::move(result));
                 request->left.begin = part.end;
                 self->Step(request);
               });
}

void SharedObject::FromShared(const RequestPtr& request, std::uint64_t index, ByteRange part) {
  std::move_only_function<void()> later = [self = shared_from_this(), request] {
    self->Step(request);
  };
  switch (tier_->health().Choose(later)) {
    case TierHealth::Way::kWait: return;
    case TierHealth::Way::kOrigin: request->direct_to = part.end; return Step(request);
    case TierHealth::Way::kShared: break;
  }
  std::shared_ptr<const SegmentFolder> folder;
  std::shared_ptr<OpenSegment> open;
  {
    const MutexLock lock(mutex_);
    folder = folder_;
    open = segments_[index].open;
  }
  tier_->pool().Run<Block>(
      "read", SharedTier::kReadLimit,
      [tier = tier_, folder, open, index, offset = part.begin]() mutable {
        return ReadBlock(*tier, *folder, std::move(open), index, offset);
      },
      [self = shared_from_this(), request, index, part](Result<Block> block) {
        self->BlockRead(request, index, part, std::move(block));
      });
}

/// On a thread of the pool. What is wrong is moved out of the way.
Result<SharedObject::Block> SharedObject::ReadBlock(SharedTier& tier, const SegmentFolder& folder,
                                                    std::shared_ptr<OpenSegment> open,
                                                    std::uint64_t index, std::uint64_t offset) {
  Block block{.segment = std::move(open), .bytes = nullptr, .offset = 0};
  const auto read = [&]() -> Result<void> {
    if (auto fault = tier.faults().Hit("shared.read"); fault) {
      return std::unexpected(*std::move(fault));
    }
    if (!block.segment) {
      auto opened = folder.Open(index);
      if (!opened) return std::unexpected(std::move(opened.error()));
      block.segment = std::move(*opened);
    }
    const ByteRange range = folder.layout().RangeOf(index);
    const std::uint64_t size = block.segment->block_bytes();
    const std::uint64_t number = (offset - range.begin) / size;
    block.offset = range.begin + number * size;
    block.bytes =
        std::make_shared<std::vector<std::byte>>(std::min(size, range.end - block.offset));
    return block.segment->ReadBlock(number, *block.bytes);
  };
  auto done = read();
  if (done) return block;
  if (done.error().code == Errc::kCorrupt) {
    tier.Quarantined(folder, index, done.error());
  }
  return std::unexpected(std::move(done.error()));
}

void SharedObject::BlockRead(const RequestPtr& request, std::uint64_t index, ByteRange part,
                             Result<Block> block) {
  for (auto& later : tier_->health().SharedEnded(block ? block->bytes->size() : 0)) later();
  if (!block) return BlockFailed(request, index, part, block.error());
  std::shared_ptr<OpenSegment> closed;  // Not under the lock.
  {
    const MutexLock lock(mutex_);
    used_ = true;
    Segment& segment = segments_[index];
    if (!segment.open) {
      segment.open = block->segment;
      open_.push_back(index);
      if (open_.size() > kMostOpen) {
        closed = std::exchange(segments_[open_.front()].open, nullptr);
        open_.pop_front();
      }
    }
  }
  const std::uint64_t skip = part.begin - block->offset;
  const std::uint64_t size = std::min(part.size(), block->bytes->size() - skip);
  tier_->counters().read_bytes.fetch_add(size, std::memory_order_relaxed);
  request->sink->Append(std::span(*block->bytes).subspan(skip, size));
  request->left.begin += size;
  Step(request);
}

void SharedObject::BlockFailed(const RequestPtr& request, std::uint64_t index, ByteRange part,
                               const Error& error) {
  tier_->Failed(error);
  const bool gone = error.code == Errc::kNotFound || error.code == Errc::kCorrupt;
  // A stale handle may be a server that was restarted: found anew by its name, once.
  const bool again = !gone && error.code == Errc::kIo && request->failures++ == 0;
  std::shared_ptr<OpenSegment> closed;
  {
    const MutexLock lock(mutex_);
    Segment& segment = segments_[index];
    closed = std::exchange(segment.open, nullptr);
    std::erase(open_, index);
    if (!again && error.code != Errc::kTimeout && segment.state == SegmentState::kPresent) {
      Move(segment, SegmentState::kAbsent);
      if (!gone) segment.claim_from = Clock::now() + kClaimAgain;
    }
  }
  if (!again) request->direct_to = part.end;
  Step(request);
}

}  // namespace modelfs::index::shared
