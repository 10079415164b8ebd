#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/fault_points.h"
#include "fetch/base/mutex.h"
#include "fetch/origin.h"
#include "index/shared/endable_timer.h"
#include "index/shared/heartbeat.h"
#include "index/shared/io_pool.h"
#include "index/shared/local_copy.h"
#include "index/shared/segment_folder.h"
#include "index/shared/segment_layout.h"
#include "index/shared/segment_times.h"
#include "index/shared/shared_files.h"
#include "index/shared/shared_options.h"
#include "index/shared/shared_root.h"
#include "index/shared/shared_stats.h"
#include "index/shared/tier_health.h"

namespace modelfs::index::shared {

class SharedObject;

/// A directory that many replicas have mounted, so that one fetches a segment for all. See
/// README.md.
///
/// What all objects share: threads, who we are, whether it answers, how much we have undertaken.
/// Threads: any. Lifetime: objects and calls keep it alive; Stop makes it inert.
class SharedTier final : public std::enable_shared_from_this<SharedTier> {
 public:
  static constexpr std::chrono::milliseconds kReadLimit{2000};
  static constexpr std::chrono::milliseconds kPublishLimit{5000};
  /// A read does not wait longer for somebody else.
  static constexpr std::chrono::milliseconds kLongestHedge{3000};
  /// What we have undertaken and not asked the origin for yet; with more we undertake nothing.
  static constexpr std::uint64_t kAheadBytes = 8u << 20;

  /// Asks the directory what it can, for two seconds at most: if it does not answer by then, it is
  /// taken for hanging, and tried again later. `faults` is borrowed.
  static std::shared_ptr<SharedTier> Open(SharedOptions options, std::uint32_t chunk_bytes,
                                          FaultPoints* faults);
  SharedTier(SharedOptions options, std::uint32_t chunk_bytes, FaultPoints* faults);
  ~SharedTier();

  std::shared_ptr<SharedObject> Object(const fetch::ObjectId& id, std::weak_ptr<LocalCopy> copy)
      EXCLUDES(mutex_);
  SharedStats Stats() const EXCLUDES(mutex_);
  /// Gives up all claims, ends the threads. After all objects were closed. Not from a completion.
  void Stop();

  // For its objects.
  IoPool& pool() { return *pool_; }
  Timer& timer() { return timer_; }
  FaultPoints& faults() { return *faults_; }
  SharedCounters& counters() { return counters_; }
  TierHealth& health() { return health_; }
  Heartbeat& heartbeat() { return heartbeat_; }
  SegmentTimes& times() { return times_; }
  const std::shared_ptr<SharedFiles>& files() const { return files_; }
  std::uint32_t block_bytes() const { return block_bytes_; }
  /// Of the directory. Nullopt until it has answered.
  std::optional<std::uint64_t> segment_bytes() const EXCLUDES(mutex_);

  /// Whether it can be asked.
  bool Answers() const EXCLUDES(mutex_);
  /// Whether segments may be undertaken: it can be written, and is no slower than the origin.
  bool MayPublish() const EXCLUDES(mutex_);
  /// Nothing is published for a while.
  void WriteFailed(const Error& error) EXCLUDES(mutex_);
  void Failed(const Error& error);
  /// Moves a segment that is wrong out of the way. Waits for the server.
  void Quarantined(const SegmentFolder& folder, std::uint64_t index, const Error& error);
  /// When the first claim may be made.
  std::chrono::milliseconds JitterLeft() const;

  /// Memory for a block on its way into the directory; false: too much is on its way already.
  bool ReserveWrite(std::uint64_t bytes);
  void WriteOver(std::uint64_t bytes) { writing_bytes_ -= bytes; }

  // How much was undertaken.
  void Undertake(std::uint64_t bytes) { ahead_bytes_ += bytes; }
  /// It was asked for, or is not to be any more. Wakes objects that wait for that.
  void Requested(std::uint64_t bytes) EXCLUDES(mutex_);
  bool MayUndertake() const { return ahead_bytes_ < kAheadBytes; }
  void AwaitTurn(std::weak_ptr<SharedObject> object) EXCLUDES(mutex_);
  void ClaimHeld(int change) { claims_held_ += change; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kTick{1000};
  static constexpr std::chrono::seconds kMarkUse{60};
  static constexpr std::chrono::minutes kSweep{5};
  static constexpr std::chrono::minutes kSweepLimit{30};
  static constexpr std::chrono::seconds kPublishAgain{30};
  static constexpr std::uint64_t kMostWriting = 64u << 20;

  void Ask(Done<void> done);
  void Answered(const Result<SharedRoot::Found>& found) EXCLUDES(mutex_);
  void Hangs(std::string_view what) EXCLUDES(mutex_);
  void ArmTick();
  void Tick() EXCLUDES(mutex_);
  void StartSweep() EXCLUDES(mutex_);
  void NudgeAll() EXCLUDES(mutex_);
  std::vector<std::shared_ptr<SharedObject>> Objects() const EXCLUDES(mutex_);

  const SharedOptions options_;
  const std::uint32_t block_bytes_;
  NoFaultPoints no_faults_;
  FaultPoints* const faults_;
  const std::shared_ptr<SharedFiles> files_;
  Heartbeat heartbeat_;
  TierHealth health_;
  SegmentTimes times_;
  SharedCounters counters_;
  const Clock::time_point claims_from_;
  std::atomic<std::uint64_t> writing_bytes_{0};
  std::atomic<std::uint64_t> ahead_bytes_{0};
  std::atomic<int> claims_held_{0};
  std::atomic<bool> stopped_{false};
  mutable Mutex mutex_;  ///< A leaf.
  std::optional<SharedRoot::Found> found_ GUARDED_BY(mutex_);
  Clock::time_point publish_from_ GUARDED_BY(mutex_);
  Clock::time_point beaten_ GUARDED_BY(mutex_);
  Clock::time_point marked_ GUARDED_BY(mutex_);
  Clock::time_point sweep_at_ GUARDED_BY(mutex_);  ///< The next one.
  bool sweeping_ GUARDED_BY(mutex_) = false;
  bool full_ GUARDED_BY(mutex_) = false;  ///< Nothing more fitted.
  std::vector<std::weak_ptr<SharedObject>> objects_ GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<SharedObject>> turns_ GUARDED_BY(mutex_);
  EndableTimer timer_;
  std::unique_ptr<IoPool> pool_;
};

}  // namespace modelfs::index::shared
