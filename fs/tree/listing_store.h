#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/mutex.h"
#include "fetch/origin.h"
#include "index/record_store.h"

namespace modelfs::fs {

/// Listings that outlive the process, in the index.
///
/// Threads: any. Load may touch the disk as a page fault does; Save only queues.
class ListingStore {
 public:
  /// `records` is borrowed until Close; null: nothing is kept.
  explicit ListingStore(index::RecordStore* records) : records_(records) {}

  struct Kept {
    fetch::Listing listing;
    std::chrono::system_clock::time_point listed_at{};  ///< Never later than now.
    std::uint64_t checksum = 0;
  };

  /// What a directory of an origin is called here: the same for all who list with the same rights.
  static std::string KeyOf(const fetch::Origin& origin, std::string_view directory);

  /// Nullopt: nothing is kept, or what is kept is damaged (which is logged).
  std::optional<Kept> Load(const std::string& key) const EXCLUDES(mutex_);
  /// Keeps `listing` as found now. `known` is the checksum of what is kept already, 0: unknown;
  /// returns the one of `listing`, for the next call.
  std::uint64_t Save(const std::string& key, const fetch::Listing& listing, std::uint64_t known)
      EXCLUDES(mutex_);

  /// Nothing is loaded or kept from then on, and `records` is not used any more.
  void Close() EXCLUDES(mutex_);

  /// Forgets listings that were last seen longer ago than `age`; returns how many.
  static std::size_t Prune(index::RecordStore& records, std::chrono::hours age);

 private:
  mutable Mutex mutex_;
  index::RecordStore* records_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::fs
