#include "fs/tree/listing_store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fetch/base/sha256.h"
#include "fs/tree/listing_record.h"

namespace modelfs::fs {
namespace {

using index::RecordKind;
using std::chrono::system_clock;

constexpr std::string_view kContent = "L";
constexpr std::string_view kStamp = "S";

std::string Join(std::string_view what, std::string_view key) {
  return std::string(what).append(key);
}

}  // namespace

std::string ListingStore::KeyOf(const fetch::Origin& origin, std::string_view directory) {
  // Who may list what is part of every identity; the name only completes one.
  const fetch::ObjectId id = origin.Pin(directory, fetch::Entry{.name = "_"});
  std::string text;
  for (const std::string* part : {&id.domain, &id.source, &id.key}) {
    text += std::to_string(part->size()) + ":" + *part;
  }
  return Hex(Sha256(text));
}

std::optional<ListingStore::Kept> ListingStore::Load(const std::string& key) const {
  std::optional<std::string> stamp_bytes;
  std::optional<std::string> bytes;
  {
    MutexLock lock(mutex_);
    if (records_ == nullptr) return std::nullopt;
    stamp_bytes = records_->Get(RecordKind::kListing, Join(kStamp, key));
    if (!stamp_bytes) return std::nullopt;
    bytes = records_->Get(RecordKind::kListing, Join(kContent, key));
  }
  if (!bytes) return std::nullopt;
  auto stamp = ListingStamp::Decode(*stamp_bytes);
  auto listing = DecodeListing(*bytes);
  if (!stamp || !listing) {
    const Error& error = stamp ? listing.error() : stamp.error();
    spdlog::warn("listing.record_dropped key={} error=\"{}\"", key, error.what);
    return std::nullopt;
  }
  const std::uint64_t checksum = ListingChecksum(*bytes);
  // A stamp that came to the disk without its listing says nothing, nor does one from the future.
  const bool believed = stamp->checksum == checksum && stamp->listed_at <= system_clock::now();
  return Kept{.listing = *std::move(listing),
              .listed_at = believed ? stamp->listed_at : system_clock::time_point{},
              .checksum = checksum};
}

std::uint64_t ListingStore::Save(const std::string& key, const fetch::Listing& listing,
                                 std::uint64_t known) {
  std::string bytes = EncodeListing(listing);
  const std::uint64_t checksum = ListingChecksum(bytes);
  const ListingStamp stamp{.listed_at = system_clock::now(), .checksum = checksum};
  MutexLock lock(mutex_);
  if (records_ == nullptr) return checksum;
  if (checksum != known) {
    auto put = records_->Put(RecordKind::kListing, Join(kContent, key), std::move(bytes));
    if (!put) {
      spdlog::warn("listing.not_kept key={} entries={} error=\"{}\"", key, listing.entries.size(),
                   put.error().what);
      return checksum;
    }
  }
  if (!records_->Put(RecordKind::kListing, Join(kStamp, key), stamp.Encode())) {
    spdlog::debug("listing.stamp_not_kept key={}", key);  // It only counts as older than it is.
  }
  return checksum;
}

void ListingStore::Close() {
  MutexLock lock(mutex_);
  records_ = nullptr;
}

std::size_t ListingStore::Prune(index::RecordStore& records, std::chrono::hours age) {
  std::size_t count = 0;
  const auto oldest = system_clock::now() - age;
  for (const std::string& key : records.Keys(RecordKind::kListing, kStamp)) {
    const auto bytes = records.Get(RecordKind::kListing, key);
    const auto stamp = bytes ? ListingStamp::Decode(*bytes) : Fail(Errc::kCorrupt, "");
    if (stamp && stamp->listed_at >= oldest) continue;
    records.Erase(RecordKind::kListing, key);
    records.Erase(RecordKind::kListing, Join(kContent, std::string_view(key).substr(1)));
    ++count;
  }
  return count;
}

}  // namespace modelfs::fs
