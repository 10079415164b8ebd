#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fetch/base/byte_range.h"
#include "fetch/base/error.h"
#include "fetch/base/fault_points.h"
#include "fetch/base/handle.h"
#include "fetch/base/timer.h"
#include "fetch/origin.h"
#include "index/record_store.h"
#include "index/shared/shared_options.h"
#include "index/shared/shared_stats.h"

namespace modelfs::index {

/// How sure we are of an object's bytes.
enum class Verified : std::uint8_t {
  kNo,      ///< Chunks match our own checksums as far as they were read.
  kSelf,    ///< Whole, and every chunk was read back equal to our checksum.
  kOrigin,  ///< Whole, and equal to the checksum that the origin publishes.
};

/// How soon bytes are wanted. Earlier enumerators go first; a download in progress is raised when
/// a more urgent wish joins it.
enum class Priority : std::uint8_t {
  kDemand,      ///< A reader waits.
  kNear,        ///< A reader will want it next (read-ahead).
  kPlan,        ///< A plan says that it will be wanted (warm).
  kBackground,  ///< Idle time.
};

enum class IoBackend : std::uint8_t {
  kAuto,     ///< io_uring where the kernel lets us, else threads.
  kUring,    ///< io_uring or fail.
  kThreads,  ///< A pool of threads with preadv and pwritev.
};

struct ObjectStatus {
  fetch::ObjectId id;
  std::uint64_t cached_bytes = 0;
  bool whole = false;
  Verified verified = Verified::kNo;
  bool pinned = false;
  bool in_use = false;  ///< Somebody holds its CachedObject, or it is being verified.
};

/// How much of its filesystem a cache may take.
struct CacheLimits {
  /// Blocks of data and map files together, at most; 0: no limit. Kept to within 64 MiB.
  std::uint64_t size_bytes = 0;
  /// Free space (what statvfs says is left for us) that is to remain; 0: none.
  std::uint64_t free_floor_bytes = 0;

  bool operator==(const CacheLimits&) const = default;
};

/// Whether the cache can keep what is fetched.
enum class Health : std::uint8_t {
  kOk,
  kDegraded,  ///< Reads are answered from the origin and not kept: the disk is full, fails or may
              ///< not be written to. It is tried again every few seconds.
};

struct CacheStats {
  std::uint64_t chunk_size_bytes = 0;  ///< Of this directory; may differ from Options.
  std::uint64_t objects = 0;
  std::uint64_t cached_bytes = 0;        ///< Sum over objects of bytes present.
  std::uint64_t hit_bytes = 0;           ///< Reader bytes answered from present chunks.
  std::uint64_t miss_bytes = 0;          ///< Reader bytes that had to wait for the origin.
  std::uint64_t fetched_bytes = 0;       ///< Body bytes received from origins (not what the
                                         ///< shared tier gave).
  std::uint64_t fetch_requests = 0;      ///< Ranged reads sent to origins.
  std::uint64_t fetches_in_flight = 0;   ///< Ranged reads under way.
  std::uint64_t hedges = 0;              ///< Requests sent once more because they were late.
  std::uint64_t hedges_won = 0;          ///< Of these: the second one was quicker.
  std::uint64_t hedge_wasted_bytes = 0;  ///< Fetched for nothing by that.
  double fetch_bytes_per_second = 0;     ///< Over the last few seconds.
  std::uint64_t buffer_bytes = 0;        ///< Chunk buffers in use.
  std::uint64_t buffer_limit_bytes = 0;  ///< What they may use at most.
  std::uint64_t quarantined_chunks = 0;  ///< Failed their checksum in this life.
  std::uint64_t uncached_writes = 0;   ///< Chunks served but not kept: the disk failed or is full.
  std::uint64_t limit_bytes = 0;       ///< CacheLimits::size_bytes in force.
  std::uint64_t free_floor_bytes = 0;  ///< CacheLimits::free_floor_bytes in force.
  std::uint64_t allocated_bytes = 0;   ///< Blocks of data and map files (st_blocks).
  std::uint64_t pinned_objects = 0;
  std::uint64_t pinned_bytes = 0;     ///< Their part of allocated_bytes.
  std::uint64_t evicted_objects = 0;  ///< Removed whole, in this life.
  std::uint64_t evicted_bytes = 0;    ///< Blocks given back by eviction, in this life.
  std::uint64_t reads_through = 0;    ///< Bytes fetched, served and not kept, for want of room or
                                      ///< because the disk would not take them.
  Health health = Health::kOk;
  std::string
      health_reason;         ///< Why it is degraded: "write [0,+1048576): No space left on device".
  std::string io_backend;    ///< "io_uring" or "threads".
  std::string last_problem;  ///< The latest disk or index error, "" when healthy.
  shared::SharedStats shared;
};

/// Bytes where they are, for as long as this is held.
struct Lent {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

/// What an Evict did. Objects that are not here count nowhere.
struct EvictReport {
  std::uint64_t objects = 0;  ///< Removed.
  std::uint64_t bytes = 0;    ///< Blocks given back.
  std::uint64_t in_use = 0;   ///< Left alone: somebody has them open.
  std::uint64_t pinned = 0;   ///< Left alone: pinned.
};

struct VerifyReport {
  std::uint64_t objects = 0;
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;
  std::uint64_t bad_chunks = 0;
  std::uint64_t repaired_chunks = 0;  ///< Of bad_chunks: fetched again and kept (Repair only).
  std::vector<std::string> bad;       ///< One line per damaged object, at most 100.
};

/// An object to be verified, and where to get it from again.
struct RepairItem {
  fetch::ObjectId id;
  std::shared_ptr<fetch::Origin> origin;  ///< Null: is only verified.
};

/// One object in the cache. Shared by every file that has the same identity.
///
/// Threads: all methods from any thread; none waits for disk or network. Completions run on the
/// `disk` or an `http` thread with no lock held, or inside the call when the answer is at hand.
class CachedObject {
 public:
  virtual ~CachedObject() = default;
  virtual const fetch::ObjectId& id() const = 0;

  /// Fills `dst` with the bytes from `offset` on; `done` gets the count, short only at the end of
  /// the object. Fetches what is absent, and reads ahead when it sees a sequence. `dst` is borrowed
  /// until `done`. Answered as soon as its own bytes have arrived.
  /// Errors: as Origin::Read.
  virtual void Read(std::uint64_t offset, std::span<std::byte> dst, Done<std::size_t> done) = 0;

  /// As Read, for who only looks at the bytes: `done` gets them where they are, in the cache's own
  /// memory or in `dst`, and has done with them when it returns.
  virtual void Borrow(std::uint64_t offset, std::span<std::byte> dst,
                      Done<std::span<const std::byte>> done) {
    Read(offset, dst, [dst, done = std::move(done)](Result<std::size_t> n) mutable {
      if (!n) return done(std::unexpected(std::move(n.error())));
      done(std::span<const std::byte>(dst.first(*n)));
    });
  }

  /// What is in the cache's own memory, in one piece, of the `size` bytes from `offset` on; nullopt
  /// when that is not all of them. Never waits.
  virtual std::optional<Lent> TryBorrowNow(std::uint64_t /*offset*/, std::size_t /*size*/) {
    return std::nullopt;
  }

  /// Tries to fill `dst` without waiting, from present and checked chunks that are in memory.
  /// Nullopt when that is not so; then call Read.
  virtual std::optional<std::size_t> TryReadNow(std::uint64_t offset, std::span<std::byte> dst) = 0;

  /// Starts to fetch what is absent of `range`; no completion. Fails silently.
  virtual void Want(ByteRange range, Priority priority) = 0;

  /// Fetches all that is absent; `done` when whole and every chunk's checksum was recorded.
  virtual void FetchAll(Priority priority, Done<void> done) = 0;

  virtual ObjectStatus Status() const = 0;

  /// Runs `action` once, on the `plan` thread, when half of the object has been read since it was
  /// opened: its readers take all of it. Soon if that is so already; never if they let go before.
  /// One that was there before is forgotten.
  virtual void WhenTaken(std::move_only_function<void()> /*action*/) {}

  /// A wish that outlives whoever holds the object.
  struct Ahead {
    /// Asked before each request, under a lock: must not wait nor call the cache.
    std::function<bool()> wanted;
    /// Runs on the `plan` thread once all that was absent has been asked for; not if it was dropped
    /// before, because it was not wanted or could not be had.
    std::move_only_function<void()> asked;
  };
  /// Fetches what is absent, as a plan. False, and nothing is done, where it cannot be kept, with
  /// `more_bytes` that others will take, without evicting something. Looks at the disk, so not on a
  /// request. Requires: in or after WhenLoaded.
  virtual bool WantAhead(std::uint64_t /*more_bytes*/, Ahead /*ahead*/) { return false; }

  /// What the object's own structure names of other files, relative to its folder: see
  /// Layout::siblings. `done` on the `plan` thread, with none where there is nothing to be known.
  virtual void Siblings(std::move_only_function<void(std::vector<std::string>)> done) { done({}); }

  /// Runs `action` once what of the object is on disk is known: inside the call, or soon on the
  /// `open` thread.
  virtual void WhenLoaded(std::move_only_function<void()> action) { action(); }

  /// From now on the object is to be sealed as soon as it is whole and verified: its file is never
  /// changed again. Where the origin publishes no checksum, every chunk is read back for that.
  virtual void WantSealed() {}
  /// The file of a sealed object, read-only, for the kernel to read by itself. Opens a file.
  /// Errors: kNotFound (it is not sealed); as FromErrno.
  virtual Result<Fd> OpenSealed() { return Fail(Errc::kNotFound, "cannot be sealed"); }
  /// Whether OpenSealed may work. The file was not replaced since, if a WhenGone from before it was
  /// opened has not run.
  virtual bool IsTrusted() const { return false; }
};

/// The chunk cache: one directory, one owner process.
///
/// Layout: `FORMAT`, `objects/<digest[0:2]>/<digest>/{data,map}`, `index/` (LMDB). The caller holds
/// the directory's owner lock. See index/README.md for threads, lock order and the on-disk format.
class Cache {
 public:
  struct Options {
    std::filesystem::path directory;            ///< Created if missing (parents too), mode 0700.
    std::filesystem::path index_directory;      ///< Where LMDB lives; empty: `directory`/index.
    std::uint64_t chunk_size_bytes = 1u << 20;  ///< Power of two, 256 KiB..16 MiB; a directory
                                                ///< made with another size keeps its own.
    std::uint64_t memory_bytes = 256u << 20;    ///< For chunk buffers.
    CacheLimits limits;
    std::chrono::milliseconds check_interval{1000};  ///< How often the limits, and a disk that
                                                     ///< failed, are looked at.
    IoBackend io_backend = IoBackend::kAuto;
    std::optional<shared::SharedOptions> shared;  ///< A directory of many replicas.
    bool direct_writes = true;                    ///< O_DIRECT for whole chunks where it works and
                                                  ///< the disk keeps up.
    FaultPoints* faults = nullptr;                ///< Borrowed; null: none.
    /// Borrowed, outlives the origins; tells when a request is late. Null: none is sent twice.
    Timer* timer = nullptr;
  };

  /// Opens or makes the cache; reconciles objects left dirty; rebuilds a lost or damaged index from
  /// the map files. Blocks (call it at start, not on a request). A directory that was good before
  /// is opened, degraded, on a disk that is full or read-only, too.
  /// Errors: kDenied (unwritable), kNoSpace (a new one: less than 64 MiB free), kInvalid (another
  /// format version, with both versions in the text), kIo. The text names the directory and the
  /// mend.
  static Result<std::unique_ptr<Cache>> Open(Options options);

  /// Completes reads in flight with kCancelled, writes what has arrived, commits, closes.
  virtual ~Cache() = default;

  /// The object with this identity; `origin` must outlive the cache's use of it (shared). Never
  /// waits: its map is loaded in the background, reads queue behind that.
  virtual std::shared_ptr<CachedObject> Get(const fetch::ObjectId& id,
                                            std::shared_ptr<fetch::Origin> origin) = 0;

  /// What is known of an object without opening it. Nullopt when nothing is cached.
  virtual std::optional<ObjectStatus> Find(const fetch::ObjectId& id) const = 0;

  virtual CacheStats Stats() const = 0;

  /// Reads every present chunk of `ids` (empty: of all objects) and compares checksums. Damaged
  /// chunks are quarantined: absent from then on, fetched again when wanted. `progress` gets bytes
  /// checked so far, from the `verify` thread; false stops (kCancelled).
  virtual void Verify(std::vector<fetch::ObjectId> ids,
                      std::move_only_function<bool(std::uint64_t bytes)> progress,
                      Done<VerifyReport> done) = 0;

  /// Verify, and what was damaged is fetched again through the item's origin before `done`; what
  /// could not be fetched stays absent and has a line in VerifyReport::bad that says why.
  virtual void Repair(std::vector<RepairItem> items,
                      std::move_only_function<bool(std::uint64_t bytes)> progress,
                      Done<VerifyReport> done) = 0;

  /// Puts other limits in force; what is above them goes soon, in the background.
  virtual void SetLimits(CacheLimits limits) = 0;

  /// Whether requests that are late may be sent once more. Off under a limit of bandwidth: then all
  /// are late.
  virtual void SetHedging(bool /*on*/) {}

  /// Keeps the cached bytes of `ids` from eviction, what comes later too, until Unpin; also over
  /// restarts. Fetches nothing. `done` when that is on disk, on the `evict` or `index` thread.
  /// Errors: as FromErrno; what was done by then holds.
  virtual void Pin(std::vector<fetch::ObjectId> ids, Done<void> done) = 0;
  virtual void Unpin(std::vector<fetch::ObjectId> ids, Done<void> done) = 0;

  /// Removes what is cached of `ids` (empty: of all objects) unless it is in use or pinned. `done`
  /// on the `evict` thread.
  virtual void Evict(std::vector<fetch::ObjectId> ids, Done<EvictReport> done) = 0;

  /// Runs `listener` once, when the files of the object are removed next, for whatever reason: its
  /// file must not be handed out any more. On the thread that removes, before it does.
  virtual void WhenGone(const fetch::ObjectId& /*id*/,
                        std::move_only_function<void()> /*listener*/) {}

  /// What other layers keep in the index. Lives as long as the cache.
  virtual RecordStore& records() = 0;
};

}  // namespace modelfs::index
