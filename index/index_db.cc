#include "index/index_db.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "fetch/base/thread.h"
#include "index/index_record.h"
#include "index/index_table.h"

namespace modelfs::index {
namespace {

using Table = LmdbStore::Table;

constexpr std::uint64_t kFormat = 2;
constexpr std::uint64_t kFormatBefore = 1;
constexpr std::size_t kBatch = 64;
constexpr std::chrono::milliseconds kBatchTime{100};

std::string_view Text(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

}  // namespace

Result<std::unique_ptr<IndexDb>> IndexDb::Open(const std::filesystem::path& directory,
                                               const std::function<void(const Error&)>& on_problem,
                                               std::size_t map_bytes, FaultPoints* faults) {
  for (bool again = false;; again = true) {
    auto store = LmdbStore::Open(directory, map_bytes);
    if (!store) return std::unexpected(std::move(store.error()));
    std::unique_ptr<IndexDb> db(new IndexDb(std::move(*store), on_problem, faults));
    auto ready = db->Prepare();
    if (ready) {
      db->thread_ = StartThread("index", [raw = db.get()] { raw->Run(); });
      return db;
    }
    db->store_->Close(LmdbStore::Stamping::kNo);
    const bool senseless =
        ready.error().code == Errc::kCorrupt || ready.error().code == Errc::kInvalid;
    if (again || !senseless) return std::unexpected(std::move(ready.error()));
    LmdbStore::SetAside(directory, ready.error().what);
  }
}

IndexDb::IndexDb(std::unique_ptr<LmdbStore> store, std::function<void(const Error&)> on_problem,
                 FaultPoints* faults)
    : store_(std::move(store)), on_problem_(std::move(on_problem)), faults_(faults) {}

IndexDb::~IndexDb() { Stop(); }

Result<void> IndexDb::Prepare() {
  std::uint64_t format = 0;
  auto read = store_->Read([&](MDB_txn* txn) {
    const int rc = GetNumber(txn, store_->table(Table::kMeta), "format", format);
    if (rc != 0) return rc == MDB_NOTFOUND ? 0 : rc;
    std::uint64_t built = 0;
    needs_rebuild_ = GetNumber(txn, store_->table(Table::kMeta), "built", built) != 0;
    return 0;
  });
  if (!read && read.error().code == Errc::kIo && store_->existed()) {
    needs_rebuild_ = true;  // As far as that goes; once more in the next life.
    return {};
  }
  if (!read) return read;
  if (format == kFormat) {
    // What is structurally sound may still be damaged.
    if (!was_closed()) {
      auto objects = Objects();
      if (!objects) return std::unexpected(std::move(objects.error()));
    }
    const auto summed = SumRecords();
    if (!summed && summed.error().code == Errc::kCorrupt) return summed;
    return {};  // What has no sum is not there.
  }
  if (format == kFormatBefore) return Upgrade();
  if (format != 0) {
    return Fail(Errc::kInvalid,
                fmt::format("index has format {}, this program knows {}", format, kFormat));
  }
  needs_rebuild_ = true;
  auto written = store_->Write([this](MDB_txn* txn) {
    const MDB_dbi meta = store_->table(Table::kMeta);
    const int rc = PutNumber(txn, meta, "format", kFormat);
    return rc == 0 ? PutNumber(txn, meta, "sums", 1) : rc;
  });
  if (!written && store_->existed()) return {};
  return written;
}

/// From format 1, whose objects have neither pins nor the blocks that they take.
Result<void> IndexDb::Upgrade() {
  return store_->Write([this](MDB_txn* txn) {
    const MDB_dbi objects = store_->table(Table::kObjects);
    MDB_cursor* raw = nullptr;
    if (const int rc = mdb_cursor_open(txn, objects, &raw); rc != 0) return rc;
    const LmdbCursor cursor(raw);
    MDB_val key{};
    MDB_val value{};
    int rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
    std::vector<ObjectRecord> records;
    for (; rc == 0; rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) {
      auto record = DecodeObjectOfFormat1(Bytes(value));
      if (!record) return MDB_CORRUPTED;
      records.push_back(std::move(*record));
    }
    if (rc != MDB_NOTFOUND) return rc;
    for (const ObjectRecord& record : records) {
      if (const int put = PutObject(txn, record.id.Digest(), record); put != 0) return put;
    }
    return PutNumber(txn, store_->table(Table::kMeta), "format", kFormat);
  });
}

Result<std::optional<ObjectRecord>> IndexDb::FindObject(const std::string& digest) const {
  std::optional<ObjectRecord> found;
  auto read = store_->Read([&](MDB_txn* txn) {
    ObjectRecord record;
    const int rc = GetObject(txn, digest, record);
    if (rc == 0) found = std::move(record);
    return rc == MDB_NOTFOUND ? 0 : rc;
  });
  if (!read) return std::unexpected(std::move(read.error()));
  return found;
}

Result<std::vector<ObjectRecord>> IndexDb::Objects() const {
  std::vector<ObjectRecord> all;
  auto read = store_->Read([&](MDB_txn* txn) {
    MDB_cursor* raw = nullptr;
    if (const int rc = mdb_cursor_open(txn, store_->table(Table::kObjects), &raw); rc != 0)
      return rc;
    const LmdbCursor cursor(raw);
    MDB_val key{};
    MDB_val value{};
    int rc = mdb_cursor_get(raw, &key, &value, MDB_FIRST);
    for (; rc == 0; rc = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) {
      auto record = DecodeObject(Bytes(value));
      if (!record || Text(key) != record->id.Digest()) return MDB_CORRUPTED;
      all.push_back(std::move(*record));
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
  });
  if (!read) return std::unexpected(std::move(read.error()));
  return all;
}

Result<std::optional<std::uint64_t>> IndexDb::FindChunk(const std::string& digest,
                                                        std::uint64_t index) const {
  std::optional<std::uint64_t> found;
  auto read = store_->Read([&](MDB_txn* txn) {
    MDB_val key = Val(digest);
    MDB_val value{};
    int rc = mdb_get(txn, store_->table(Table::kObjects), &key, &value);
    if (rc != 0) return rc == MDB_NOTFOUND ? 0 : rc;
    if (value.mv_size < sizeof(std::uint64_t)) return MDB_CORRUPTED;
    std::uint64_t serial = 0;  // The first field; the rest of the record is not needed here.
    std::memcpy(&serial, value.mv_data, sizeof serial);
    const auto key_bytes = GroupKey(serial, index / ChunkGroup::kChunks);
    key = Val(key_bytes.data(), key_bytes.size());
    rc = mdb_get(txn, store_->table(Table::kChunks), &key, &value);
    if (rc != 0) return rc == MDB_NOTFOUND ? 0 : rc;
    if (value.mv_size != sizeof(ChunkGroup)) return MDB_CORRUPTED;
    const auto* bytes = static_cast<const std::byte*>(value.mv_data);
    std::uint64_t present = 0;
    std::memcpy(&present, bytes, sizeof present);
    const std::uint64_t bit = index % ChunkGroup::kChunks;
    if (((present >> bit) & 1) == 0) return 0;
    std::uint64_t hash = 0;
    std::memcpy(&hash, bytes + offsetof(ChunkGroup, hashes) + bit * sizeof hash, sizeof hash);
    found = hash;
    return 0;
  });
  if (!read) return std::unexpected(std::move(read.error()));
  return found;
}

void IndexDb::MarkDirty(const fetch::ObjectId& id, std::uint64_t chunk_size_bytes,
                        Done<void> done) {
  Change change;
  change.kind = Change::Kind::kDirty;
  change.digest = id.Digest();
  change.id = id;
  change.number = chunk_size_bytes;
  change.done = std::move(done);
  Enqueue(std::move(change), true);
}

void IndexDb::MarkClean(const std::string& digest, std::uint64_t allocated_bytes) {
  Change change;
  change.number = allocated_bytes;
  change.kind = Change::Kind::kClean;
  change.digest = digest;
  Enqueue(std::move(change), false);
}

void IndexDb::SetVerified(const std::string& digest, Verified verified) {
  Change change;
  change.kind = Change::Kind::kVerified;
  change.digest = digest;
  change.number = static_cast<std::uint64_t>(verified);
  Enqueue(std::move(change), false);
}

void IndexDb::SetPinned(const fetch::ObjectId& id, std::uint64_t chunk_size_bytes, bool pinned) {
  Change change;
  change.kind = pinned ? Change::Kind::kPin : Change::Kind::kUnpin;
  change.digest = id.Digest();
  change.id = id;
  change.number = chunk_size_bytes;
  Enqueue(std::move(change), false);
}

void IndexDb::Touch(const std::string& digest, std::int64_t last_use) {
  Change change;
  change.number = static_cast<std::uint64_t>(last_use);
  change.kind = Change::Kind::kTouch;
  change.digest = digest;
  Enqueue(std::move(change), false);
}

void IndexDb::PutChunk(const std::string& digest, std::uint64_t index, std::uint64_t hash) {
  Change change;
  change.kind = Change::Kind::kPut;
  change.digest = digest;
  change.number = index;
  change.hash = hash;
  Enqueue(std::move(change), false);
}

void IndexDb::DropChunk(const std::string& digest, std::uint64_t index) {
  Change change;
  change.kind = Change::Kind::kDrop;
  change.digest = digest;
  change.number = index;
  Enqueue(std::move(change), false);
}

void IndexDb::Replace(const fetch::ObjectId& id, std::uint64_t chunk_size_bytes,
                      std::vector<IndexedChunk> chunks) {
  Change change;
  change.kind = Change::Kind::kReplace;
  change.digest = id.Digest();
  change.id = id;
  change.number = chunk_size_bytes;
  change.chunks = std::move(chunks);
  Enqueue(std::move(change), false);
}

void IndexDb::Remove(const std::string& digest) {
  Change change;
  change.kind = Change::Kind::kRemove;
  change.digest = digest;
  Enqueue(std::move(change), false);
}

void IndexDb::MarkBuilt() {
  Change change;
  change.kind = Change::Kind::kBuilt;
  Enqueue(std::move(change), false);
}

void IndexDb::Flush(Done<void> done) {
  Change change;
  change.done = std::move(done);
  Enqueue(std::move(change), true);
}

void IndexDb::Enqueue(Change change, bool urgent) {
  {
    const MutexLock lock(mutex_);
    if (!stopping_) {
      queue_.push_back(std::move(change));
      urgent_ = urgent_ || urgent;
      if (queue_.size() == 1 || urgent || queue_.size() == kBatch) wake_.NotifyOne();
      return;
    }
  }
  if (change.done) change.done(Fail(Errc::kCancelled, "index: shutting down"));
}

void IndexDb::Stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
  if (lost_ && !lost_noted_) {
    std::deque<Change> nothing;
    Commit(nothing);
  }
  store_->Close(lost_ && !lost_noted_ ? LmdbStore::Stamping::kNo : LmdbStore::Stamping::kYes);
}

void IndexDb::Run() {
  for (;;) {
    std::deque<Change> batch;
    {
      const MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) wake_.Wait(mutex_);
      if (queue_.empty()) return;
      const auto deadline = std::chrono::steady_clock::now() + kBatchTime;
      while (queue_.size() < kBatch && !urgent_ && !stopping_) {
        if (!wake_.WaitUntil(mutex_, deadline)) break;
      }
      batch.swap(queue_);
      urgent_ = false;
    }
    Commit(batch);
  }
}

void IndexDb::Commit(std::deque<Change>& batch) {
  auto fault = faults_ != nullptr ? faults_->Hit("index_db.commit") : std::nullopt;
  auto written = fault ? std::unexpected(*std::move(fault))
                       : store_->Write([&](MDB_txn* txn) { return ApplyAll(txn, batch); });
  if (faults_ != nullptr) faults_->Hit("index_db.committed");
  if (written) {
    lost_noted_ = lost_;
  } else {
    lost_ = true;
    lost_noted_ = false;
    on_problem_(written.error());
  }
  for (Change& change : batch) {
    if (change.done) change.done(written);
  }
}

}  // namespace modelfs::index
