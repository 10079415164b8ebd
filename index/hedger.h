#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"
#include "index/pace.h"

namespace modelfs::index {

/// A request that may be sent once more while it is under way.
class Hedgeable {
 public:
  virtual ~Hedgeable() = default;
  /// Sends once more what is missing and somebody waits for, if that is at most `most_bytes`.
  /// Returns how much that is; 0: nothing was sent. Called with no lock held.
  virtual std::uint64_t Hedge(std::uint64_t most_bytes) = 0;
  /// Gives that second request up, unless it has brought something.
  virtual void DropHedge() = 0;
};

/// Decides which requests are sent a second time (Dean and Barroso, "The Tail at Scale", 2013):
/// those that somebody waits for and that have been silent for much longer than is usual at their
/// origin, while it answers others as quickly as ever. In an outage, or when everything is slow, it
/// answers nobody quickly, and nothing is sent twice; where there are no others to compare with,
/// one request in ten seconds is.
///
/// What comes twice is at most 1 % of all that comes, and 8 MiB.
/// Threads: any; requests are looked at on the timer's. Lock order: `mutex_` is a leaf; Hedgeables
/// are called without it.
class Hedger : public std::enable_shared_from_this<Hedger> {
 public:
  using Clock = Timer::Clock;
  static constexpr std::chrono::milliseconds kTick{50};
  static constexpr std::uint64_t kAllowance = 8u << 20;
  static constexpr std::uint64_t kShare = 100;  ///< One byte of so many may come twice.
  static constexpr std::chrono::seconds kBlindPause{10};
  static constexpr int kMostAtOnce = 2;  ///< Of one origin.

  /// A request under way. Heard by whoever gets its bytes, one at a time.
  class Watched {
   public:
    Watched(std::string source, std::weak_ptr<Hedgeable> who, Clock::time_point sent)
        : source_(std::move(source)), who_(std::move(who)), sent_(sent) {}

   private:
    friend class Hedger;
    const std::string source_;
    const std::weak_ptr<Hedgeable> who_;
    const Clock::time_point sent_;
    std::atomic<Clock::rep> heard_{0};  ///< When the last byte came; 0: none yet.
    std::atomic<Clock::rep> longest_gap_{0};
    // Guarded by the Hedger's mutex.
    std::optional<Clock::time_point> hedged_;
    bool answered_ = false;       ///< The second request has brought something.
    std::uint64_t reserved_ = 0;  ///< Of the budget.
  };

  /// `timer` is borrowed and outlives what is watched; null: nothing is ever sent twice.
  explicit Hedger(Timer* timer) : timer_(timer) {}

  /// A request to `source` is out. Null when nothing is to be watched.
  std::shared_ptr<Watched> Sent(const std::string& source, std::weak_ptr<Hedgeable> who)
      EXCLUDES(mutex_);
  /// `bytes` of it came. Cheap. `watched` may be null, here and below.
  void Heard(Watched* watched, std::uint64_t bytes) EXCLUDES(mutex_);
  /// The second request is the one that brings the rest.
  void Won(Watched* watched) EXCLUDES(mutex_);
  /// It is over, whatever came of it.
  void Over(const std::shared_ptr<Watched>& watched) EXCLUDES(mutex_);
  /// These came, and had come before or will come again.
  void Wasted(std::uint64_t bytes) { wasted_.fetch_add(bytes, std::memory_order_relaxed); }

  /// Off: everything is slow because somebody wants it so.
  void SetEnabled(bool enabled) { enabled_.store(enabled, std::memory_order_relaxed); }
  void Close() EXCLUDES(mutex_);

  std::uint64_t sent() const { return sent_.load(std::memory_order_relaxed); }
  std::uint64_t won() const { return won_.load(std::memory_order_relaxed); }
  std::uint64_t wasted_bytes() const { return wasted_.load(std::memory_order_relaxed); }

 private:
  struct Source {
    Pace pace;
    int flying = 0;  ///< Requests under way, as of this tick.
    int slow = 0;    ///< Of these: silent for more than half of what is much too long.
    int hedges = 0;
    Clock::time_point blind_after{};  ///< Nothing to compare with: not before.
  };
  using Requests = std::vector<std::shared_ptr<Watched>>;
  static constexpr std::size_t kMostSources = 256;

  void Arm() EXCLUDES(mutex_);
  void Tick() EXCLUDES(mutex_);
  void Look(Clock::time_point now, Requests& late, Requests& hopeless) REQUIRES(mutex_);
  bool May(const Source& source, Clock::time_point silent_since, Clock::time_point now) const
      REQUIRES(mutex_);
  void TryHedge(const std::shared_ptr<Watched>& watched) EXCLUDES(mutex_);
  std::uint64_t Left() const EXCLUDES(mutex_);
  static Clock::time_point LastHeard(const Watched& watched);

  Timer* const timer_;
  std::stop_source stop_;
  std::atomic<bool> enabled_{true};
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> won_{0};
  std::atomic<std::uint64_t> wasted_{0};
  std::atomic<std::uint64_t> heard_{0};  ///< Bytes, of all requests.

  mutable Mutex mutex_;
  Requests watched_ GUARDED_BY(mutex_);
  std::map<std::string, Source> sources_ GUARDED_BY(mutex_);
  std::uint64_t reserved_ GUARDED_BY(mutex_) = 0;
  bool ticking_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::index
