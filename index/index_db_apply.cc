// How the index's writer brings one change into the tables.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "index/index_db.h"
#include "index/index_record.h"
#include "index/index_table.h"

namespace modelfs::index {
namespace {

using Table = LmdbStore::Table;

std::uint64_t ChunkBytes(const ObjectRecord& record, std::uint64_t index) {
  const std::uint64_t begin = index * record.chunk_size_bytes;
  if (begin >= record.id.size_bytes) return 0;
  return std::min(record.chunk_size_bytes, record.id.size_bytes - begin);
}

std::int64_t Now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

int IndexDb::ApplyAll(MDB_txn* txn, const std::deque<Change>& batch) {
  for (const Change& change : batch) {
    if (change.kind == Change::Kind::kBuilt && lost_) continue;
    if (const int rc = Apply(txn, change); rc != 0) return rc;
  }
  if (!lost_ || lost_noted_) return 0;
  MDB_val key = Val("built");
  const int rc = mdb_del(txn, store_->table(Table::kMeta), &key, nullptr);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

int IndexDb::Apply(MDB_txn* txn, const Change& change) {
  switch (change.kind) {
    case Change::Kind::kDirty:
    case Change::Kind::kClean:
    case Change::Kind::kVerified:
    case Change::Kind::kPin:
    case Change::Kind::kUnpin:
    case Change::Kind::kTouch: return ApplyToObject(txn, change);
    case Change::Kind::kPut:
    case Change::Kind::kDrop: return ApplyChunk(txn, change);
    case Change::Kind::kReplace: return ApplyReplace(txn, change);
    case Change::Kind::kRemove: {
      ObjectRecord record;
      const int found = GetObject(txn, change.digest, record);
      if (found == MDB_NOTFOUND) return 0;
      if (found != 0 && found != MDB_CORRUPTED) return found;
      const int rc = found == 0 ? RemoveChunks(txn, record.serial) : 0;
      if (rc != 0) return rc;
      MDB_val key = Val(change.digest);
      return mdb_del(txn, store_->table(Table::kObjects), &key, nullptr);
    }
    case Change::Kind::kBuilt: return PutNumber(txn, store_->table(Table::kMeta), "built", 1);
    case Change::Kind::kRecord: return ApplyRecord(txn, change);
    case Change::Kind::kFlush: return 0;
  }
  return 0;
}

int IndexDb::ApplyToObject(MDB_txn* txn, const Change& change) {
  ObjectRecord record;
  int rc = GetObject(txn, change.digest, record);
  if (rc == MDB_NOTFOUND) {
    if (change.kind != Change::Kind::kDirty && change.kind != Change::Kind::kPin) return 0;
    record.id = change.id;
    record.last_use = Now();
    record.chunk_size_bytes = change.number;
    rc = NextSerial(txn, record.serial);
  }
  if (rc != 0) return rc;
  switch (change.kind) {
    case Change::Kind::kDirty: record.dirty = true; break;
    case Change::Kind::kClean:
      record.dirty = false;
      record.allocated_bytes = change.number;
      break;
    case Change::Kind::kPin: record.pinned = true; break;
    case Change::Kind::kUnpin: record.pinned = false; break;
    case Change::Kind::kTouch:
      record.last_use = std::max(record.last_use, static_cast<std::int64_t>(change.number));
      break;
    case Change::Kind::kVerified: record.verified = static_cast<Verified>(change.number); break;
    default: break;
  }
  return PutObject(txn, change.digest, record);
}

int IndexDb::ApplyChunk(MDB_txn* txn, const Change& change) {
  ObjectRecord record;
  int rc = GetObject(txn, change.digest, record);
  if (rc != 0) return rc == MDB_NOTFOUND ? 0 : rc;
  ChunkGroup group;
  const std::uint64_t number = change.number / ChunkGroup::kChunks;
  rc = GetGroup(txn, store_->table(Table::kChunks), record.serial, number, group);
  if (rc != 0 && rc != MDB_NOTFOUND) return rc;
  const std::uint64_t place = change.number % ChunkGroup::kChunks;
  const std::uint64_t bit = std::uint64_t{1} << place;
  const bool was = (group.present & bit) != 0;
  const bool is = change.kind == Change::Kind::kPut;
  group.present = is ? group.present | bit : group.present & ~bit;
  group.hashes[place] = is ? change.hash : 0;
  rc = PutGroup(txn, store_->table(Table::kChunks), record.serial, number, group);
  if (rc != 0 || was == is) return rc;
  const std::uint64_t bytes = ChunkBytes(record, change.number);
  record.present_chunks += is ? 1 : std::uint64_t(-1);
  record.present_bytes += is ? bytes : std::uint64_t(0) - bytes;
  if (!is) record.verified = Verified::kNo;
  return PutObject(txn, change.digest, record);
}

int IndexDb::ApplyReplace(MDB_txn* txn, const Change& change) {
  ObjectRecord record;
  int rc = GetObject(txn, change.digest, record);
  if (rc == MDB_NOTFOUND || rc == MDB_CORRUPTED) {
    record.last_use = Now();
    rc = NextSerial(txn, record.serial);
  } else if (rc == 0) {
    rc = RemoveChunks(txn, record.serial);
  }
  if (rc != 0) return rc;
  record.id = change.id;
  record.chunk_size_bytes = change.number;
  record.dirty = false;
  if (change.chunks.size() != record.present_chunks) record.verified = Verified::kNo;
  record.present_chunks = change.chunks.size();
  record.present_bytes = 0;
  for (std::size_t i = 0; i < change.chunks.size();) {
    const std::uint64_t number = change.chunks[i].index / ChunkGroup::kChunks;
    ChunkGroup group;
    for (; i < change.chunks.size() && change.chunks[i].index / ChunkGroup::kChunks == number;
         ++i) {
      const std::uint64_t place = change.chunks[i].index % ChunkGroup::kChunks;
      group.present |= std::uint64_t{1} << place;
      group.hashes[place] = change.chunks[i].hash;
      record.present_bytes += ChunkBytes(record, change.chunks[i].index);
    }
    rc = PutGroup(txn, store_->table(Table::kChunks), record.serial, number, group);
    if (rc != 0) return rc;
  }
  return PutObject(txn, change.digest, record);
}

int IndexDb::RemoveChunks(MDB_txn* txn, std::uint64_t serial) {
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, store_->table(Table::kChunks), &raw); rc != 0) return rc;
  const LmdbCursor cursor(raw);
  const auto first = GroupKey(serial, 0);
  for (;;) {
    MDB_val key = Val(first.data(), first.size());
    MDB_val value{};
    int rc = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND) return 0;
    if (rc != 0) return rc;
    if (key.mv_size != first.size() || std::memcmp(key.mv_data, first.data(), 8) != 0) return 0;
    rc = mdb_cursor_del(raw, 0);
    if (rc != 0) return rc;
  }
}

int IndexDb::NextSerial(MDB_txn* txn, std::uint64_t& serial) {
  std::uint64_t last = 0;
  const MDB_dbi meta = store_->table(Table::kMeta);
  const int rc = GetNumber(txn, meta, "serial", last);
  if (rc != 0 && rc != MDB_NOTFOUND) return rc;
  serial = last + 1;
  return PutNumber(txn, meta, "serial", serial);
}

int IndexDb::GetObject(MDB_txn* txn, const std::string& digest, ObjectRecord& record) const {
  MDB_val key = Val(digest);
  MDB_val value{};
  if (const int rc = mdb_get(txn, store_->table(Table::kObjects), &key, &value); rc != 0) return rc;
  auto decoded = DecodeObject(Bytes(value));
  if (!decoded || decoded->id.Digest() != digest) return MDB_CORRUPTED;
  record = std::move(*decoded);
  return 0;
}

int IndexDb::PutObject(MDB_txn* txn, const std::string& digest, const ObjectRecord& record) {
  const std::vector<std::byte> bytes = EncodeObject(record);
  MDB_val key = Val(digest);
  MDB_val value = Val(bytes.data(), bytes.size());
  return mdb_put(txn, store_->table(Table::kObjects), &key, &value, 0);
}

}  // namespace modelfs::index
