#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/cache.h"
#include "index/space.h"

namespace modelfs::index {

struct Core;
class LocalObject;

/// Makes room: takes what was not used for longest, of objects that are neither open nor pinned.
/// Of a large object it takes chunks, and of open ones too where nothing else is left. Also pins,
/// unpins and evicts when asked, and looks now and then whether a broken disk works again.
///
/// Threads: Reserve, Post and Nudge from any; all else happens on its own thread, `evict`.
/// Lock order: `mutex_` is a leaf.
class Evictor {
 public:
  using Grant = std::move_only_function<void(std::optional<SpaceReservation>)>;
  using Task = std::move_only_function<void()>;

  struct Options {
    /// An object that is there, in memory or not; null if it is not known (any more).
    std::function<std::shared_ptr<LocalObject>(const std::string& digest)> open;
    /// Those that are in memory.
    std::function<std::vector<std::shared_ptr<LocalObject>>()> alive;
    std::chrono::milliseconds tick{1000};  ///< How often limits and a broken disk are looked at.
  };

  Evictor(Core& core, Options options);
  ~Evictor();

  /// The right to allocate `bytes`: at once where there is room, else after something was evicted,
  /// on the `evict` thread. Nullopt: there is no room to be had.
  void Reserve(std::uint64_t bytes, Grant grant) EXCLUDES(mutex_);
  /// Runs `task` on the `evict` thread; false after Stop.
  bool Post(Task task) EXCLUDES(mutex_);
  /// Limits or pins have changed: what could not be had before may be there now.
  void Nudge() EXCLUDES(mutex_);
  /// Answers all who wait, runs what was posted, joins. Later reservations get what room there is.
  void Stop() EXCLUDES(mutex_);

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    std::uint64_t bytes;
    Grant grant;
  };
  /// After nothing could be evicted it is not tried again for so long.
  static constexpr std::chrono::milliseconds kHopeless{50};

  void Run();
  void Tick();
  void Serve(Waiting waiting);
  bool MakeRoom(std::uint64_t more);
  std::uint64_t EvictClosed(std::uint64_t goal, const CacheLimits& limits);
  std::uint64_t EvictChunks(const std::vector<std::shared_ptr<LocalObject>>& objects,
                            std::uint64_t goal);
  std::uint64_t FreeBytes() const;

  Core& core_;
  const Options options_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Waiting> waiting_ GUARDED_BY(mutex_);
  std::deque<Task> tasks_ GUARDED_BY(mutex_);
  Clock::time_point hopeless_until_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool nudged_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace modelfs::index
