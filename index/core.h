#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "fetch/base/fault_points.h"
#include "fetch/base/mutex.h"
#include "index/buffer_pool.h"
#include "index/cache.h"
#include "index/disk_io.h"
#include "index/evictor.h"
#include "index/gone_listeners.h"
#include "index/health.h"
#include "index/hedger.h"
#include "index/index_db.h"
#include "index/link.h"
#include "index/lmdb_records.h"
#include "index/loader.h"
#include "index/local_tier.h"
#include "index/rate_meter.h"
#include "index/space.h"
#include "index/task_thread.h"
#include "index/unread_chunks.h"

namespace modelfs::index {

namespace shared {
class SharedTier;
}

/// Work to be done once locks are released.
class Actions {
 public:
  void Add(std::move_only_function<void()> action) { actions_.push_back(std::move(action)); }
  /// Requires: no lock held.
  void Run() {
    for (auto& action : actions_) action();
    actions_.clear();
  }

 private:
  std::vector<std::move_only_function<void()>> actions_;
};

/// The latest disk or index error, and how many chunks were lost to one.
class Problems {
 public:
  /// Logs it too, unless it is the same as the last.
  void Note(std::string_view event, const Error& error);
  std::string last() const {
    const MutexLock lock(mutex_);
    return last_;
  }

 private:
  mutable Mutex mutex_;
  std::string last_ GUARDED_BY(mutex_);
};

struct Counters {
  std::atomic<std::uint64_t> cached_bytes{0};
  std::atomic<std::uint64_t> hit_bytes{0};
  std::atomic<std::uint64_t> miss_bytes{0};
  std::atomic<std::uint64_t> fetched_bytes{0};
  std::atomic<std::uint64_t> fetch_requests{0};
  std::atomic<std::uint64_t> fetches_in_flight{0};
  std::atomic<std::uint64_t> quarantined_chunks{0};
  std::atomic<std::uint64_t> uncached_writes{0};
  std::atomic<std::uint64_t> evicted_objects{0};
  std::atomic<std::uint64_t> evicted_bytes{0};
  std::atomic<std::uint64_t> reads_through{0};
  std::atomic<std::uint64_t> direct_in_flight{0};  ///< O_DIRECT writes of chunks under way.
};

/// What the objects of one cache share. Built and shut down by LocalCache; kept alive, inert, by
/// objects and flights that outlive it.
struct Core {
  using Clock = std::chrono::steady_clock;

  /// `timer` may be null.
  Core(LocalTier tier_in, FaultPoints* faults_in, Timer* timer);

  /// A coarse clock for recency: sixteenths of a second since the start, from 1 on; 0 is "never".
  std::uint32_t Ticks() const {
    return static_cast<std::uint32_t>((Clock::now() - started) /
                                      std::chrono::microseconds(62'500)) +
           1;
  }

  LocalTier tier;
  NoFaultPoints no_faults;
  FaultPoints* const faults;
  Counters counters;
  Problems problems;
  const Clock::time_point started = Clock::now();
  GoneListeners gone;
  const std::shared_ptr<Space> space = std::make_shared<Space>();
  HealthState health;
  RateMeter fetch_rate;
  Link link;
  const std::shared_ptr<Hedger> hedger;
  std::atomic<bool> closing{false};
  std::unique_ptr<TaskThread> summer;   ///< `sums`: compares objects with their origin's sums.
  std::unique_ptr<TaskThread> planner;  ///< `plan`: understands how files are laid out.
  std::unique_ptr<TaskThread> sealer;   ///< `seal`: makes whole objects files for the kernel.
  std::shared_ptr<TaskThread> opener;   ///< `open`: maps are read and files made here.
  std::shared_ptr<shared::SharedTier> shared;  ///< Null: there is none.
  std::unique_ptr<LmdbRecords> records;
  std::unique_ptr<IndexDb> db;  ///< Ends before `records`, which it calls back.
  std::unique_ptr<DiskIo> disk;
  std::shared_ptr<BufferPool> buffers;
  UnreadChunks unread;  ///< Ends before the pool.
  Loader loader{link};
  std::unique_ptr<Evictor> evictor;
};

}  // namespace modelfs::index
