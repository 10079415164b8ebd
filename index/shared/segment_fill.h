#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "fetch/base/byte_range.h"
#include "fetch/base/mutex.h"
#include "fetch/origin.h"
#include "index/shared/local_copy.h"
#include "index/shared/segment_folder.h"
#include "index/shared/segment_writer.h"

namespace modelfs::index::shared {

class SharedTier;

/// A segment that we have undertaken to fetch for all: takes what arrives from the origin, reads
/// what is here already, asks for what is missing, and publishes it when all of it is there.
///
/// ```
///  block: missing ──► being written ──► written      all written ──► trailer, sync, link
///            ▲  arrives, or is read here  │
///            └── too much to be written ──┘
/// ```
/// Threads: any. No lock is held over a call of anybody else.
/// Lifetime: kept alive by whoever fills it and by its own calls; ends once.
class SegmentFill final : public std::enable_shared_from_this<SegmentFill> {
 public:
  struct Options {
    std::shared_ptr<SharedTier> tier;
    std::shared_ptr<const SegmentFolder> folder;
    std::weak_ptr<LocalCopy> copy;
    std::uint64_t index = 0;
    std::uint32_t epoch = 0;  ///< Of our claim.
    std::uint32_t block_bytes = 1u << 20;
    std::shared_ptr<SegmentWriter> writer;
    std::move_only_function<void(bool published)> ended;  ///< Once, with no lock held.
  };
  explicit SegmentFill(Options options);
  ~SegmentFill();

  /// What of it need not be fetched.
  std::uint64_t BytesHere() const;
  /// Asks for all of it. Once.
  void Start();
  /// A sink for the bytes from `offset` of the object on: keeps a copy, passes them on to `sink`.
  std::shared_ptr<fetch::BodySink> Tee(std::uint64_t offset, std::shared_ptr<fetch::BodySink> sink);
  /// Gives it up. Idempotent.
  void Abandon();

 private:
  class TeeSink;
  using Clock = std::chrono::steady_clock;
  using Buffer = std::shared_ptr<std::vector<std::byte>>;
  enum class BlockState : std::uint8_t { kMissing, kWriting, kWritten };
  enum class Kept : std::uint8_t { kYes, kNo };
  static constexpr std::chrono::milliseconds kTick{250};
  static constexpr std::chrono::milliseconds kStall{2000};
  static constexpr int kMostStalls = 5;

  ByteRange BlockRange(std::uint64_t block) const;
  Kept Put(std::uint64_t block, const Buffer& bytes) EXCLUDES(mutex_);
  void Written(std::uint64_t block, std::uint64_t bytes, const Result<void>& result)
      EXCLUDES(mutex_);
  void Publish();
  void Progress() EXCLUDES(mutex_);
  void ArmTick();
  void Tick() EXCLUDES(mutex_);
  void AskForMissing() EXCLUDES(mutex_);
  void ReadNextHere() EXCLUDES(mutex_);
  void End(bool published) EXCLUDES(mutex_);

  Options options_;
  const ByteRange range_;
  Mutex mutex_;  ///< A leaf.
  std::vector<BlockState> blocks_ GUARDED_BY(mutex_);
  std::uint64_t left_ GUARDED_BY(mutex_);  ///< Blocks that are not written.
  bool reading_here_ GUARDED_BY(mutex_) = false;
  bool ended_ GUARDED_BY(mutex_) = false;
  int stalls_ GUARDED_BY(mutex_) = 0;
  Clock::time_point progress_ GUARDED_BY(mutex_) = Clock::now();
};

}  // namespace modelfs::index::shared
