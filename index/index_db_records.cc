// Records in the index: values of other layers, which the index does not look into.
#include <utility>

#include "index/index_db.h"
#include "index/index_table.h"

namespace modelfs::index {
namespace {

using Table = LmdbStore::Table;

/// A batch should not hold more than a few of those.
constexpr std::size_t kLarge = std::size_t{1} << 20;

std::string_view Text(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

}  // namespace

void IndexDb::PutRecord(std::string key, RecordValue value, Done<void> done) {
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
    const int rc = mdb_del(txn, records, &key, nullptr);
    return rc == MDB_NOTFOUND ? 0 : rc;
  }
  MDB_val value = Val(*change.value);
  return mdb_put(txn, records, &key, &value, 0);
}

Result<std::optional<std::string>> IndexDb::FindRecord(std::string_view key) const {
  std::optional<std::string> found;
  auto read = store_->Read([&](MDB_txn* txn) {
    MDB_val name = Val(key);
    MDB_val value{};
    const int rc = mdb_get(txn, store_->table(Table::kRecords), &name, &value);
    if (rc == 0) found.emplace(Text(value));
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
      each(Text(key), Text(value));
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
  });
}

}  // namespace modelfs::index
