#include "fs/tree/directory.h"

#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fetch/base/percent.h"
#include "fs/tree/names.h"
#include "fs/tree/node_record.h"

namespace modelfs::fs {
namespace {

/// A first listing that failed is not asked for again within this time.
constexpr std::chrono::milliseconds kFailureTtl{1'000};
/// After a failed renewal the old listing serves for so long before the origin is asked again.
constexpr std::chrono::milliseconds kStaleTtl{5'000};
/// A listing of so many entries was so much memory in small pieces that it is worth giving back.
constexpr std::size_t kManyEntries = 10'000;

/// So many go into one record of the log, to keep what is built for it small.
constexpr std::uint32_t kEntriesPerRecord = 4'096;

/// Frees `listing` before the heap is asked to shrink.
void Dispose(Result<fetch::Listing> listing) {
  const bool many = listing && listing->entries.size() >= kManyEntries;
  listing = fetch::Listing{};
  if (many) ::malloc_trim(0);
}

Directory::Item ToItem(const EntryTable::Row& row) {
  return {.name = std::string(row.name),
          .raw = std::string(row.raw),
          .tag = std::string(row.tag),
          .size_bytes = row.size_bytes,
          .modified = row.modified,
          .kind = row.kind,
          .gone = row.gone,
          .child = row.child};
}

}  // namespace

bool Directory::Ensure(Clock::time_point now, Done<void> done) {
  MutexLock lock(mutex_);
  if (!looked_for_kept_) LoadKept(now);
  if (listed_ && now < fresh_until_) {
    lock.Unlock();
    done({});
    return false;
  }
  if (failure_ && now < failure_until_) {
    Error error = *failure_;
    lock.Unlock();
    done(std::unexpected(std::move(error)));
    return false;
  }
  waiters_.push_back(
      {listed_ ? now + options_.stale_after : Clock::time_point::max(), std::move(done)});
  const bool ask = !std::exchange(asking_, true);
  lock.Unlock();
  if (ask) {
    options_.origin->List(options_.path, [self = shared_from_this()](auto listing) {
      self->TakeListing(std::move(listing));
    });
  }
  return true;
}

void Directory::LoadKept(Clock::time_point now) {
  looked_for_kept_ = true;
  if (!options_.store) return;
  auto kept = options_.store->Load(ListingStore::KeyOf(*options_.origin, options_.path));
  if (!kept) return;
  kept_checksum_ = kept->checksum;
  Merge(kept->listing);
  listed_ = true;
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now() - kept->listed_at);
  fresh_until_ = age < listing_ttl_ ? now + (listing_ttl_ - age) : now;
  Dispose(std::move(kept->listing));
}

std::uint64_t Directory::Keep(const fetch::Listing& listing) {
  if (!options_.store) return 0;
  std::uint64_t known = 0;
  {
    MutexLock lock(mutex_);
    known = kept_checksum_;
  }
  return options_.store->Save(ListingStore::KeyOf(*options_.origin, options_.path), listing, known);
}

void Directory::TakeListing(Result<fetch::Listing> listing) {
  // Nobody else asks, and so keeps, until asking_ is false.
  const std::uint64_t checksum = listing ? Keep(*listing) : 0;
  const auto now = Clock::now();
  std::vector<Waiter> waiters;
  Result<void> outcome;
  {
    MutexLock lock(mutex_);
    asking_ = false;
    waiters.swap(waiters_);
    if (listing) {
      Merge(*listing);
      kept_checksum_ = checksum;
      listed_ = true;
      failure_.reset();
      fresh_until_ = now + listing_ttl_;
    } else if (listed_) {
      fresh_until_ = now + kStaleTtl;
    } else {
      failure_ = listing.error();
      failure_until_ = now + kFailureTtl;
      outcome = std::unexpected(listing.error());
    }
  }
  if (!listing) {
    spdlog::warn("listing.failed directory={} code={} error=\"{}\" serving={}", Where(),
                 ToString(listing.error().code), listing.error().what,
                 outcome ? "stale" : "nothing");
  }
  Dispose(std::move(listing));
  for (Waiter& waiter : waiters) waiter.done(outcome);
}

std::string Directory::Where() const {
  return fmt::format("{}/{}", options_.origin->Describe(), Printable(options_.path));
}

bool Directory::ExpireWaiters(Clock::time_point now) {
  std::vector<Waiter> expired;
  bool more = false;
  {
    MutexLock lock(mutex_);
    std::vector<Waiter> patient;
    for (Waiter& waiter : waiters_) {
      (waiter.give_up > now ? patient : expired).push_back(std::move(waiter));
    }
    waiters_ = std::move(patient);
    more = !waiters_.empty();
    // Whoever comes next need not wait as long again for an origin that is slow now.
    if (!expired.empty()) fresh_until_ = now + kStaleTtl;
  }
  for (Waiter& waiter : expired) waiter.done({});
  return more;
}

void Directory::Merge(const fetch::Listing& listing) {
  std::vector<bool> seen(entries_.size(), false);
  files_ = bytes_ = 0;
  std::uint64_t hidden = 0;
  std::uint64_t clashes = 0;
  std::string a_clash;
  // Directories first: where a key is both file and directory, the directory is shown.
  for (const auto kind : {fetch::Entry::Kind::kDirectory, fetch::Entry::Kind::kFile}) {
    for (const fetch::Entry& entry : listing.entries) {
      if (entry.kind != kind) continue;
      const auto name = EscapeName(entry.name);
      if (!name) {
        ++hidden;
      } else if (!MergeEntry(entry, *name, seen) && clashes++ == 0) {
        a_clash = *name;
      }
    }
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (!seen[i]) entries_.SetGone(static_cast<std::uint32_t>(i));
  }
  if (!listed_ || entries_.size() > seen.size()) LogFrom(static_cast<std::uint32_t>(seen.size()));
  if (clashes > 0) {
    spdlog::warn("listing.name_clash directory={} name=\"{}\" count={} shown=directory", Where(),
                 a_clash, clashes);
  }
  if (hidden > 0) {
    spdlog::warn("listing.names_hidden directory={} count={} reason=\"no safe file name\"", Where(),
                 hidden);
  }
}

/// False when another entry of the same listing has that name.
bool Directory::MergeEntry(const fetch::Entry& entry, const std::string& name,
                           std::vector<bool>& seen) {
  const bool is_file = entry.kind == fetch::Entry::Kind::kFile;
  const auto known = entries_.Find(name);
  if (known) {
    const EntryTable::Row row = entries_.At(*known);
    if (*known >= seen.size() || seen[*known]) return false;
    if (!row.gone && row.kind == entry.kind && row.size_bytes == entry.size_bytes &&
        row.tag == entry.tag) {
      seen[*known] = true;
      if (is_file) entries_.SetModified(*known, entry.modified);
      files_ += is_file ? 1 : 0;
      bytes_ += entry.size_bytes;
      return true;
    }
    // Otherwise Merge marks it gone: it was not seen.
  }
  AddEntry(entry, name);
  return true;
}

void Directory::AddEntry(const fetch::Entry& entry, std::string_view name) {
  const bool is_file = entry.kind == fetch::Entry::Kind::kFile;
  files_ += is_file ? 1 : 0;
  bytes_ += entry.size_bytes;
  EntryTable::Row row{.name = name,
                      .raw = {},
                      .tag = entry.tag,
                      .size_bytes = entry.size_bytes,
                      .modified = entry.modified,
                      .kind = entry.kind};
  if (entry.name != name) row.raw = entry.name;
  // S3 knows no time for a prefix; 1970 would look broken.
  if (!is_file && row.modified == std::chrono::system_clock::time_point{}) {
    row.modified = std::chrono::system_clock::now();
  }
  entries_.Add(row);
}

void Directory::LogFrom(std::uint32_t first) const {
  if (!options_.nodes) return;
  const auto end = static_cast<std::uint32_t>(entries_.size());
  do {
    EntriesRecord record{.serial = options_.serial, .first = first, .entries = {}};
    for (; first < end && record.entries.entries.size() < kEntriesPerRecord; ++first) {
      const EntryTable::Row row = entries_.At(first);
      record.entries.entries.push_back({.name = std::string(row.RawName()),
                                        .kind = row.kind,
                                        .size_bytes = row.size_bytes,
                                        .modified = row.modified,
                                        .tag = std::string(row.tag)});
    }
    Append(options_.nodes, record);
  } while (first < end);
}

Result<void> Directory::Restore(std::uint32_t first, const fetch::Listing& entries) {
  MutexLock lock(mutex_);
  if (first != entries_.size()) return Fail(Errc::kCorrupt, "node log: entries out of order");
  for (const fetch::Entry& entry : entries.entries) {
    const auto name = EscapeName(entry.name);
    if (!name) return Fail(Errc::kCorrupt, "node log: an entry without a safe name");
    AddEntry(entry, *name);
  }
  listed_ = true;
  return {};
}

Result<void> Directory::RestoreChild(std::uint32_t index, std::uint32_t serial) {
  MutexLock lock(mutex_);
  if (index >= entries_.size() || entries_.At(index).kind != fetch::Entry::Kind::kDirectory) {
    return Fail(Errc::kCorrupt, "node log: a directory behind no entry");
  }
  entries_.SetChild(index, serial);
  return {};
}

std::string Directory::ChildPath(std::uint32_t index) const {
  MutexLock lock(mutex_);
  return fmt::format("{}{}/", options_.path, entries_.At(index).RawName());
}

std::optional<std::uint32_t> Directory::Find(std::string_view name) const {
  MutexLock lock(mutex_);
  const auto found = entries_.Find(name);
  if (!found || entries_.At(*found).gone) return std::nullopt;
  return found;
}

std::optional<Directory::Item> Directory::At(std::uint32_t index) const {
  MutexLock lock(mutex_);
  if (index >= entries_.size()) return std::nullopt;
  return ToItem(entries_.At(index));
}

std::vector<std::pair<std::uint32_t, Directory::Item>> Directory::Slice(std::uint32_t from,
                                                                        std::size_t limit) const {
  std::vector<std::pair<std::uint32_t, Item>> slice;
  MutexLock lock(mutex_);
  for (std::size_t i = from; i < entries_.size() && slice.size() < limit; ++i) {
    const auto index = static_cast<std::uint32_t>(i);
    const EntryTable::Row row = entries_.At(index);
    if (!row.gone) slice.emplace_back(index, ToItem(row));
  }
  return slice;
}

void Directory::SetListingTtl(std::chrono::milliseconds ttl, Clock::time_point now) {
  MutexLock lock(mutex_);
  listing_ttl_ = ttl;
  fresh_until_ = std::min(fresh_until_, now + ttl);
}

bool Directory::Listed() const {
  MutexLock lock(mutex_);
  return listed_;
}

std::pair<std::uint64_t, std::uint64_t> Directory::Totals() const {
  MutexLock lock(mutex_);
  return {files_, bytes_};
}

std::chrono::milliseconds Directory::ValidFor(Clock::time_point now) const {
  MutexLock lock(mutex_);
  if (now >= fresh_until_) return std::chrono::milliseconds(0);
  return std::chrono::duration_cast<std::chrono::milliseconds>(fresh_until_ - now);
}

}  // namespace modelfs::fs
