#include "index/shared/segment_fill.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <stop_token>
#include <utility>

#include "fetch/forwarding_sink.h"
#include "index/shared/shared_tier.h"

namespace modelfs::index::shared {

/// Cuts what arrives into blocks. Belongs to the origin's thread.
class SegmentFill::TeeSink final : public fetch::ForwardingSink {
 public:
  TeeSink(std::shared_ptr<SegmentFill> fill, std::uint64_t offset,
          std::shared_ptr<fetch::BodySink> sink)
      : ForwardingSink(std::move(sink)), fill_(std::move(fill)), at_(offset) {}

  void Append(std::span<const std::byte> bytes) override {
    ForwardingSink::Append(bytes);
    fill_->Progress();
    while (!bytes.empty() && at_ < fill_->range_.end) {
      const std::uint64_t block = (at_ - fill_->range_.begin) / fill_->options_.block_bytes;
      const ByteRange whole = fill_->BlockRange(block);
      const std::size_t n = std::min<std::uint64_t>(bytes.size(), whole.end - at_);
      // Only blocks that come from their first byte on; of others there is a gap.
      if (at_ == whole.begin) {
        buffer_ = std::make_shared<std::vector<std::byte>>();
        buffer_->reserve(whole.size());
      }
      if (buffer_) {
        const auto part = bytes.first(n);
        buffer_->insert(buffer_->end(), part.begin(), part.end());
      }
      at_ += n;
      bytes = bytes.subspan(n);
      if (at_ == whole.end && buffer_) fill_->Put(block, std::exchange(buffer_, nullptr));
    }
  }

 private:
  const std::shared_ptr<SegmentFill> fill_;
  std::uint64_t at_;
  Buffer buffer_;
};

SegmentFill::SegmentFill(Options options)
    : options_(std::move(options)), range_(options_.folder->layout().RangeOf(options_.index)) {
  const std::uint64_t count = SegmentTrailer::BlocksOf(range_.size(), options_.block_bytes);
  blocks_.assign(count, BlockState::kMissing);
  left_ = count;
}

SegmentFill::~SegmentFill() = default;

ByteRange SegmentFill::BlockRange(std::uint64_t block) const {
  const std::uint64_t begin = range_.begin + block * options_.block_bytes;
  return {begin, std::min(range_.end, begin + options_.block_bytes)};
}

std::uint64_t SegmentFill::BytesHere() const {
  std::uint64_t bytes = 0;
  const auto copy = options_.copy.lock();
  const std::uint64_t blocks = SegmentTrailer::BlocksOf(range_.size(), options_.block_bytes);
  for (std::uint64_t block = 0; copy && block < blocks; ++block) {
    if (copy->Holds(BlockRange(block))) bytes += BlockRange(block).size();
  }
  return bytes;
}

void SegmentFill::Start() {
  ArmTick();
  AskForMissing();
}

std::shared_ptr<fetch::BodySink> SegmentFill::Tee(std::uint64_t offset,
                                                  std::shared_ptr<fetch::BodySink> sink) {
  return std::make_shared<TeeSink>(shared_from_this(), offset, std::move(sink));
}

void SegmentFill::Progress() {
  const MutexLock lock(mutex_);
  progress_ = Clock::now();
}

SegmentFill::Kept SegmentFill::Put(std::uint64_t block, const Buffer& bytes) {
  {
    const MutexLock lock(mutex_);
    if (ended_ || blocks_[block] != BlockState::kMissing) return Kept::kYes;
    if (!options_.tier->ReserveWrite(bytes->size())) return Kept::kNo;
    blocks_[block] = BlockState::kWriting;
  }
  options_.tier->pool().Run<void>(
      "write", SharedTier::kPublishLimit,
      [writer = options_.writer, tier = options_.tier, block, bytes]() -> Result<void> {
        if (auto fault = tier->faults().Hit("shared.write"); fault) {
          return std::unexpected(*std::move(fault));
        }
        return writer->WriteBlock(block, *bytes);
      },
      [self = shared_from_this(), block, size = bytes->size()](Result<void> result) {
        self->Written(block, size, result);
      });
  return Kept::kYes;
}

void SegmentFill::Written(std::uint64_t block, std::uint64_t bytes, const Result<void>& result) {
  options_.tier->WriteOver(bytes);
  bool whole = false;
  {
    const MutexLock lock(mutex_);
    if (ended_) return;
    if (result) {
      blocks_[block] = BlockState::kWritten;
      progress_ = Clock::now();
      whole = --left_ == 0;
    }
  }
  if (!result) {
    options_.tier->WriteFailed(result.error());
    return End(false);
  }
  if (whole) return Publish();
  ReadNextHere();
}

void SegmentFill::Publish() {
  options_.tier->pool().Run<Placed>(
      "publish", SharedTier::kPublishLimit,
      [writer = options_.writer, folder = options_.folder, tier = options_.tier,
       index = options_.index]() -> Result<Placed> {
        if (auto fault = tier->faults().Hit("shared.publish"); fault) {
          return std::unexpected(*std::move(fault));
        }
        auto placed = writer->Publish();
        if (placed && *placed == Placed::kTaken) {
          const auto theirs = folder->Open(index);
          if (!theirs && theirs.error().code == Errc::kCorrupt) {
            tier->Quarantined(*folder, index, theirs.error());
            placed = writer->Place();
          }
        }
        return placed;  // The claim stays: who does not see the segment yet must not fetch it.
      },
      [self = shared_from_this()](const Result<Placed>& placed) {
        if (!placed) self->options_.tier->WriteFailed(placed.error());
        if (placed && *placed == Placed::kPlaced) {
          SharedCounters& counters = self->options_.tier->counters();
          counters.published_segments.fetch_add(1, std::memory_order_relaxed);
          counters.published_bytes.fetch_add(self->range_.size(), std::memory_order_relaxed);
        }
        self->End(placed.has_value());
      });
}

void SegmentFill::ArmTick() {
  options_.tier->timer().After(kTick, std::stop_token(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Tick();
  });
}

/// What was wished for may have been forgotten, or failed, or been here and gone.
void SegmentFill::Tick() {
  bool stalled = false;
  bool hopeless = false;
  {
    const MutexLock lock(mutex_);
    if (ended_ || left_ == 0) return;
    if (Clock::now() - progress_ > kStall) {
      stalled = true;
      hopeless = ++stalls_ > kMostStalls;
      progress_ = Clock::now();
    }
  }
  if (hopeless) {
    spdlog::info("shared.segment_given_up object={} segment={}", options_.folder->path(),
                 options_.index);
    return End(false);
  }
  if (stalled) {
    AskForMissing();
  } else {
    ReadNextHere();  // What was on its way when we began may be here now.
  }
  ArmTick();
}

void SegmentFill::AskForMissing() {
  const auto copy = options_.copy.lock();
  if (!copy) return End(false);
  std::vector<ByteRange> missing;  // What is written already may not be here any more.
  {
    const MutexLock lock(mutex_);
    for (std::uint64_t block = 0; block < blocks_.size(); ++block) {
      if (blocks_[block] != BlockState::kMissing) continue;
      const ByteRange range = BlockRange(block);
      if (missing.empty() || missing.back().end != range.begin) missing.push_back(range);
      missing.back().end = range.end;
    }
  }
  for (const ByteRange& range : missing) copy->Fetch(range);
  ReadNextHere();
}

/// One block at a time, so that it is no burden for the disk.
void SegmentFill::ReadNextHere() {
  const auto copy = options_.copy.lock();
  if (!copy) return;
  std::vector<std::uint64_t> missing;
  {
    const MutexLock lock(mutex_);
    if (ended_ || reading_here_) return;
    for (std::uint64_t block = 0; block < blocks_.size(); ++block) {
      if (blocks_[block] == BlockState::kMissing) missing.push_back(block);
    }
    reading_here_ = true;
  }
  const auto here = std::ranges::find_if(
      missing, [&](std::uint64_t block) { return copy->Holds(BlockRange(block)); });
  if (here == missing.end()) {
    const MutexLock lock(mutex_);
    reading_here_ = false;
    return;
  }
  const std::uint64_t block = *here;
  auto bytes = std::make_shared<std::vector<std::byte>>(BlockRange(block).size());
  copy->ReadHere(BlockRange(block).begin, *bytes,
                 [self = shared_from_this(), block, bytes](const Result<std::size_t>& n) {
                   {
                     const MutexLock lock(self->mutex_);
                     self->reading_here_ = false;
                   }
                   // When it is written the next one is read; what failed waits for the tick.
                   if (n && *n == bytes->size()) self->Put(block, bytes);
                 });
}

void SegmentFill::Abandon() { End(false); }

void SegmentFill::End(bool published) {
  {
    const MutexLock lock(mutex_);
    if (std::exchange(ended_, true)) return;
  }
  if (!published) {
    options_.tier->pool().Run<void>(
        "release", SharedTier::kPublishLimit,
        [folder = options_.folder, index = options_.index,
         epoch = options_.epoch]() -> Result<void> { return folder->Release(index, epoch); },
        [](const Result<void>&) {});
  }
  auto ended = std::exchange(options_.ended, nullptr);
  if (ended) ended(published);
}

}  // namespace modelfs::index::shared
