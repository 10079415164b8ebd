#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fetch/origin.h"
#include "fs/tree/entry_table.h"
#include "fs/tree/listing_store.h"
#include "fs/tree/node_log.h"

namespace modelfs::fs {

/// One directory of an origin as the kernel has come to know it.
///
/// Its entries are only ever added: an entry's index is part of a node id and stays good for the
/// life of the tree. A new listing keeps the entries that are the same (same name, kind, size and
/// tag), adds the changed and new ones under new indices, and marks the others gone. A gone entry
/// can still be read by whoever knows its number, but is no longer found by name.
///
/// Lock order: this directory, then its ListingStore or NodeLog.
/// Threads: any. Completions run inside the call or on the origin's or the tree's tick thread, with
/// no lock held.
class Directory : public std::enable_shared_from_this<Directory> {
 public:
  using Clock = std::chrono::steady_clock;

  struct Item {
    std::string name;  ///< As shown.
    std::string raw;   ///< As the origin has it; empty when equal to `name`.
    std::string tag;
    std::uint64_t size_bytes = 0;
    std::chrono::system_clock::time_point modified{};
    fetch::Entry::Kind kind = fetch::Entry::Kind::kFile;
    bool gone = false;
    std::uint32_t child = 0;  ///< Serial of the directory behind it; 0 until somebody looked.

    const std::string& RawName() const { return raw.empty() ? name : raw; }
  };

  struct Options {
    std::uint32_t serial = 0;
    std::string path;  ///< At the origin: "" or "a/b/", raw bytes.
    std::shared_ptr<fetch::Origin> origin;
    std::shared_ptr<ListingStore> store;  ///< Null: listings are forgotten with the directory.
    std::shared_ptr<NodeLog> nodes;       ///< Gets entries before anybody sees them; may be null.
    std::chrono::milliseconds listing_ttl{0};
    std::chrono::milliseconds stale_after{2'000};  ///< Longest wait for a renewal of a listing.
  };
  explicit Directory(Options options)
      : options_(std::move(options)), listing_ttl_(options_.listing_ttl) {}

  std::uint32_t serial() const { return options_.serial; }
  const std::string& path() const { return options_.path; }
  const std::shared_ptr<fetch::Origin>& origin() const { return options_.origin; }

  /// Takes over entries that the kernel knows from an earlier process; they are asked for again
  /// when somebody looks. Not written to the log. Before the directory is used, in order. Errors:
  /// kCorrupt (`first` is not the next index, or a name cannot be shown).
  Result<void> Restore(std::uint32_t first, const fetch::Listing& entries);
  /// Like ChildSerial, where the serial is known from an earlier process.
  /// Errors: kCorrupt (no such entry, or no directory).
  Result<void> RestoreChild(std::uint32_t index, std::uint32_t serial);
  /// Where the directory behind entry `index` is at the origin. Requires: it is a directory.
  std::string ChildPath(std::uint32_t index) const;

  /// Calls `done` once a listing is there that may be used at `now`: at once when it is fresh,
  /// else after the origin was asked (one request for all who wait). A listing that has expired is
  /// used on when the origin fails or takes longer than `stale_after`. What an earlier process
  /// listed counts like a listing of our own.
  /// Errors: the origin's, when there was never a listing; remembered for a second.
  /// Returns true when `done` waits and ExpireWaiters should be called from time to time.
  bool Ensure(Clock::time_point now, Done<void> done);

  /// Lets those who waited longer than `stale_after` for a renewal go on with the old listing.
  /// Returns true while others still wait.
  bool ExpireWaiters(Clock::time_point now);

  std::optional<std::uint32_t> Find(std::string_view name) const;
  /// A copy; nullopt for an index never given out.
  std::optional<Item> At(std::uint32_t index) const;
  /// How long listings are trusted from now on, also the one that is there.
  void SetListingTtl(std::chrono::milliseconds ttl, Clock::time_point now);
  /// Up to `limit` entries that are not gone, from index `from` on.
  std::vector<std::pair<std::uint32_t, Item>> Slice(std::uint32_t from, std::size_t limit) const;
  /// Whether there was a listing yet.
  bool Listed() const;
  /// Files and bytes that are not gone.
  std::pair<std::uint64_t, std::uint64_t> Totals() const;
  /// How long names may be trusted from `now` on.
  std::chrono::milliseconds ValidFor(Clock::time_point now) const;

  /// The serial of the directory behind entry `index`; `make` is called (under this directory's
  /// lock) when there is none yet. Lock order: this directory, then what `make` locks.
  template <class Make>
  std::uint32_t ChildSerial(std::uint32_t index, Make&& make) {
    MutexLock lock(mutex_);
    const EntryTable::Row row = entries_.At(index);
    if (row.child != 0) return row.child;
    const std::uint32_t child = std::forward<Make>(make)(row);
    entries_.SetChild(index, child);
    return child;
  }

 private:
  struct Waiter {
    Clock::time_point give_up;
    Done<void> done;
  };
  std::string Where() const;  ///< For the log.
  void TakeListing(Result<fetch::Listing> listing);
  void LoadKept(Clock::time_point now) REQUIRES(mutex_);
  std::uint64_t Keep(const fetch::Listing& listing) EXCLUDES(mutex_);
  void Merge(const fetch::Listing& listing) REQUIRES(mutex_);
  bool MergeEntry(const fetch::Entry& entry, const std::string& name, std::vector<bool>& seen)
      REQUIRES(mutex_);
  void AddEntry(const fetch::Entry& entry, std::string_view name) REQUIRES(mutex_);
  void LogFrom(std::uint32_t first) const REQUIRES(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  EntryTable entries_ GUARDED_BY(mutex_);
  std::vector<Waiter> waiters_ GUARDED_BY(mutex_);
  bool asking_ GUARDED_BY(mutex_) = false;
  bool listed_ GUARDED_BY(mutex_) = false;
  bool looked_for_kept_ GUARDED_BY(mutex_) = false;
  std::uint64_t kept_checksum_ GUARDED_BY(mutex_) = 0;  ///< Of what the store has; 0: nothing.
  std::chrono::milliseconds listing_ttl_ GUARDED_BY(mutex_);
  Clock::time_point fresh_until_ GUARDED_BY(mutex_){};
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  Clock::time_point failure_until_ GUARDED_BY(mutex_){};
  std::uint64_t files_ GUARDED_BY(mutex_) = 0;
  std::uint64_t bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace modelfs::fs
