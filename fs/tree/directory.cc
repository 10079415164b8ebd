#include "fs/tree/directory.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "fs/tree/names.h"

namespace modelfs::fs {
namespace {

/// A first listing that failed is not asked for again within this time.
constexpr std::chrono::milliseconds kFailureTtl{1'000};
/// After a failed renewal the old listing serves for so long before the origin is asked again.
constexpr std::chrono::milliseconds kStaleTtl{5'000};

}  // namespace

bool Directory::Ensure(Clock::time_point now, Done<void> done) {
  MutexLock lock(mutex_);
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

void Directory::TakeListing(Result<fetch::Listing> listing) {
  const auto now = Clock::now();
  std::vector<Waiter> waiters;
  Result<void> outcome;
  {
    MutexLock lock(mutex_);
    asking_ = false;
    waiters.swap(waiters_);
    if (listing) {
      Merge(std::move(*listing));
      listed_ = true;
      failure_.reset();
      fresh_until_ = now + options_.listing_ttl;
    } else if (listed_) {
      fresh_until_ = now + kStaleTtl;
    } else {
      failure_ = listing.error();
      failure_until_ = now + kFailureTtl;
      outcome = std::unexpected(listing.error());
    }
  }
  if (!listing) {
    spdlog::warn("listing.failed directory={}/{} code={} error=\"{}\" serving={}",
                 options_.origin->Describe(), options_.path, ToString(listing.error().code),
                 listing.error().what, outcome ? "stale" : "nothing");
  }
  for (Waiter& waiter : waiters) waiter.done(outcome);
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

void Directory::Merge(fetch::Listing listing) {
  std::vector<bool> seen(items_.size(), false);
  files_ = bytes_ = 0;
  std::uint64_t hidden = 0;
  // Directories first: where a key is both file and directory, the directory is shown.
  for (const auto kind : {fetch::Entry::Kind::kDirectory, fetch::Entry::Kind::kFile}) {
    for (fetch::Entry& entry : listing.entries) {
      if (entry.kind != kind) continue;
      if (auto name = EscapeName(entry.name)) {
        MergeEntry(std::move(entry), std::move(*name), seen);
      } else {
        ++hidden;
      }
    }
  }
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (seen[i] || items_[i].gone) continue;
    items_[i].gone = true;
    auto known = by_name_.find(items_[i].name);
    if (known != by_name_.end() && known->second == i) by_name_.erase(known);
  }
  if (hidden > 0) {
    spdlog::warn("listing.names_hidden directory={}/{} count={} reason=\"no safe file name\"",
                 options_.origin->Describe(), options_.path, hidden);
  }
}

void Directory::MergeEntry(fetch::Entry entry, std::string name, std::vector<bool>& seen) {
  const bool is_file = entry.kind == fetch::Entry::Kind::kFile;
  auto known = by_name_.find(name);
  if (known != by_name_.end()) {
    Item& item = items_[known->second];
    if (known->second >= seen.size() || seen[known->second]) {
      spdlog::warn("listing.name_clash directory={}/{} name=\"{}\" shown=directory",
                   options_.origin->Describe(), options_.path, name);
      return;
    }
    if (item.kind == entry.kind && item.size_bytes == entry.size_bytes && item.tag == entry.tag) {
      seen[known->second] = true;
      if (is_file) item.modified = entry.modified;
      files_ += is_file ? 1 : 0;
      bytes_ += entry.size_bytes;
      return;
    }
    by_name_.erase(known);  // The old item is marked gone by Merge: it was not seen.
  }
  files_ += is_file ? 1 : 0;
  bytes_ += entry.size_bytes;
  items_.push_back(Item{.name = std::move(name),
                        .raw = {},
                        .tag = std::move(entry.tag),
                        .size_bytes = entry.size_bytes,
                        .modified = entry.modified,
                        .kind = entry.kind});
  Item& item = items_.back();
  // S3 knows no time for a prefix; 1970 would look broken.
  if (!is_file && item.modified == std::chrono::system_clock::time_point{}) {
    item.modified = std::chrono::system_clock::now();
  }
  if (entry.name != item.name) item.raw = std::move(entry.name);
  by_name_.emplace(item.name, static_cast<std::uint32_t>(items_.size() - 1));
}

std::optional<std::uint32_t> Directory::Find(std::string_view name) const {
  MutexLock lock(mutex_);
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

std::optional<Directory::Item> Directory::At(std::uint32_t index) const {
  MutexLock lock(mutex_);
  if (index >= items_.size()) return std::nullopt;
  return items_[index];
}

std::vector<std::pair<std::uint32_t, Directory::Item>> Directory::Slice(std::uint32_t from,
                                                                        std::size_t limit) const {
  std::vector<std::pair<std::uint32_t, Item>> slice;
  MutexLock lock(mutex_);
  for (std::size_t i = from; i < items_.size() && slice.size() < limit; ++i) {
    if (!items_[i].gone) slice.emplace_back(static_cast<std::uint32_t>(i), items_[i]);
  }
  return slice;
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
