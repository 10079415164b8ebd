// Records in the index: values of other layers, which the index does not look into.
#include <xxhash.h>

#include <utility>

#include "index/index_db.h"
#include "index/index_table.h"

namespace modelfs::index {
namespace {

using Table = LmdbStore::Table;

/// A batch should not hold more than a few of those.
constexpr std::size_t kLarge = std::size_t{1} << 20;

std::string_view Text(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

std::uint64_t SumOf(const MDB_val& key, const MDB_val& value) {
  return XXH3_64bits_withSeed(value.mv_data, value.mv_size, XXH3_64bits(key.mv_data, key.mv_size));
}

int PutSum(MDB_txn* txn, MDB_dbi sums, MDB_val key, const MDB_val& value) {
  const std::uint64_t sum = SumOf(key, value);
  MDB_val bytes = Val(&sum, sizeof sum);
  return mdb_put(txn, sums, &key, &bytes, 0);
}

}  // namespace

/// Whether it is what was put. Nothing else knows of a bit that flipped in a listing.
bool IndexDb::IsSound(MDB_txn* txn, const MDB_val& key, const MDB_val& value) const {
  std::uint64_t sum = 0;
  const int rc = GetNumber(txn, store_->table(Table::kSums), Text(key), sum);
  return rc == 0 && sum == SumOf(key, value);
}

/// Once, in an index from before there were sums.
Result<void> IndexDb::SumRecords() {
  std::uint64_t done = 0;
  auto read = store_->Read([&](MDB_txn* txn) {
    const int rc = GetNumber(txn, store_->table(Table::kMeta), "sums", done);
    return rc == MDB_NOTFOUND ? 0 : rc;
  });
  if (!read || done != 0) return read;
  return store_->Write([this](MDB_txn* txn) {
    MDB_cursor* raw = nullptr;
    const MDB_dbi records = store_->table(Table::kRecords);
    if (const int rc = mdb_cursor_open(txn, records, &raw); rc != 0) return rc;
    const LmdbCursor cursor(raw);
    MDB_val key{};
    MDB_val value{};
    int rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) {
      const int put = PutSum(txn, store_->table(Table::kSums), key, value);
      if (put != 0) return put;
    }
    if (rc != MDB_NOTFOUND) return rc;
    return PutNumber(txn, store_->table(Table::kMeta), "sums", 1);
  });
}

void IndexDb::PutRecord(std::string key, RecordValue value, Done<void> done) {
  if (faults_ != nullptr) faults_->Hit("index_db.record");
  const bool large = value && value->size() >= kLarge;
  Change change;
  change.kind = Change::Kind::kRecord;
  change.digest = std::move(key);
  change.value = std::move(value);
  change.done = std::move(done);
  Enqueue(std::move(change), large);
}

int IndexDb::ApplyRecord(MDB_txn* txn, const Change& change) {
  const MDB_dbi records = store_->table(Table::kRecords);
  MDB_val key = Val(change.digest);
  if (!change.value) {
    int rc = mdb_del(txn, records, &key, nullptr);
    if (rc == 0 || rc == MDB_NOTFOUND) {
      rc = mdb_del(txn, store_->table(Table::kSums), &key, nullptr);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
  }
  MDB_val value = Val(*change.value);
  if (const int rc = mdb_put(txn, records, &key, &value, 0); rc != 0) return rc;
  return PutSum(txn, store_->table(Table::kSums), key, Val(*change.value));
}

Result<std::optional<std::string>> IndexDb::FindRecord(std::string_view key) const {
  std::optional<std::string> found;
  auto read = store_->Read([&](MDB_txn* txn) {
    MDB_val name = Val(key);
    MDB_val value{};
    const int rc = mdb_get(txn, store_->table(Table::kRecords), &name, &value);
    if (rc == 0 && IsSound(txn, name, value)) found.emplace(Text(value));
    return rc == MDB_NOTFOUND ? 0 : rc;
  });
  if (!read) return std::unexpected(std::move(read.error()));
  return found;
}

Result<void> IndexDb::ForEachRecord(
    std::string_view prefix,
    const std::function<void(std::string_view key, std::string_view value)>& each) const {
  return store_->Read([&](MDB_txn* txn) {
    MDB_cursor* raw = nullptr;
    const MDB_dbi records = store_->table(Table::kRecords);
    if (const int rc = mdb_cursor_open(txn, records, &raw); rc != 0) return rc;
    const LmdbCursor cursor(raw);
    MDB_val key = Val(prefix);
    MDB_val value{};
    int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
    for (; rc == 0 && Text(key).starts_with(prefix);
         rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) {
      if (IsSound(txn, key, value)) each(Text(key), Text(value));
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
  });
}

}  // namespace modelfs::index
