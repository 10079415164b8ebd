#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/fault_points.h"
#include "fetch/base/mutex.h"
#include "fetch/origin.h"
#include "index/cache.h"
#include "index/lmdb_store.h"

namespace modelfs::index {

/// What the index knows of an object. Owns all that it holds.
struct ObjectRecord {
  fetch::ObjectId id;
  std::uint64_t serial = 0;
  std::uint64_t chunk_size_bytes = 0;
  std::uint64_t present_chunks = 0;
  std::uint64_t present_bytes = 0;
  std::uint64_t allocated_bytes = 0;  ///< Blocks of its files, as of the last MarkClean.
  std::int64_t last_use = 0;          ///< Seconds since the epoch, a minute or so behind.
  bool dirty = false;                 ///< Was being written when this was stored.
  bool pinned = false;
  Verified verified = Verified::kNo;
};

struct IndexedChunk {
  std::uint64_t index = 0;
  std::uint64_t hash = 0;
};

/// The index: which objects and chunks are here. An accelerator that can be rebuilt: the map files
/// are the truth.
///
/// Threads: queries from any thread, changes from any thread; changes are applied in order by the
/// `index` thread, in one commit per 64 changes or 100 ms. Queries see committed changes.
class IndexDb {
 public:
  /// `on_problem` gets each error of a commit, on the `index` thread. An index that makes no sense,
  /// or is of a format that this program does not know, is set aside.
  /// `faults` is borrowed; null: none.
  /// Errors: as LmdbStore::Open.
  static Result<std::unique_ptr<IndexDb>> Open(const std::filesystem::path& directory,
                                               const std::function<void(const Error&)>& on_problem,
                                               std::size_t map_bytes = LmdbStore::kFirstMapBytes,
                                               FaultPoints* faults = nullptr);
  ~IndexDb();

  /// True when it was made just now or never finished its rebuild: fill it with Replace for each
  /// map file, then call MarkBuilt.
  bool needs_rebuild() const { return needs_rebuild_; }
  /// False after a kill or a crash: what was not committed by then is lost.
  bool was_closed() const { return store_->was_closed(); }

  Result<std::optional<ObjectRecord>> FindObject(const std::string& digest) const;
  Result<std::vector<ObjectRecord>> Objects() const;
  /// The checksum of a present chunk.
  Result<std::optional<std::uint64_t>> FindChunk(const std::string& digest,
                                                 std::uint64_t index) const;

  /// Notes that the object is being written; makes its record if there is none. `done` after the
  /// commit, which is hastened, on the `index` thread.
  void MarkDirty(const fetch::ObjectId& id, std::uint64_t chunk_size_bytes, Done<void> done);
  void MarkClean(const std::string& digest, std::uint64_t allocated_bytes);
  /// Makes its record if there is none.
  void SetPinned(const fetch::ObjectId& id, std::uint64_t chunk_size_bytes, bool pinned);
  void SetVerified(const std::string& digest, Verified verified);
  /// `last_use`: seconds since the epoch.
  void Touch(const std::string& digest, std::int64_t last_use);
  void PutChunk(const std::string& digest, std::uint64_t index, std::uint64_t hash);
  void DropChunk(const std::string& digest, std::uint64_t index);
  /// Sets an object to exactly `chunks` (ascending), clean.
  void Replace(const fetch::ObjectId& id, std::uint64_t chunk_size_bytes,
               std::vector<IndexedChunk> chunks);
  void Remove(const std::string& digest);
  void MarkBuilt();

  // Records; index_db_records.cc. `key` is the table's own, see LmdbRecords.
  using RecordValue = std::shared_ptr<const std::string>;
  /// `value` null: erases. `done` after the commit, on the `index` thread.
  void PutRecord(std::string key, RecordValue value, Done<void> done);
  Result<std::optional<std::string>> FindRecord(std::string_view key) const;
  /// Calls `each` for the keys that start with `prefix`, ascending, with their values, inside the
  /// transaction: it must not take a lock.
  Result<void> ForEachRecord(
      std::string_view prefix,
      const std::function<void(std::string_view key, std::string_view value)>& each) const;

  /// `done` when all that was asked for before is committed.
  void Flush(Done<void> done);
  /// Commits what is queued, closes the environment; the next life rebuilds it if changes were
  /// lost. Called once, before the destructor.
  void Stop();

 private:
  struct Change {
    enum class Kind : std::uint8_t {
      kDirty,
      kClean,
      kVerified,
      kTouch,
      kPin,
      kUnpin,
      kPut,
      kDrop,
      kReplace,
      kRemove,
      kBuilt,
      kRecord,
      kFlush
    };
    Kind kind = Kind::kFlush;
    std::string digest;  ///< Or the key of a record.
    fetch::ObjectId id;
    RecordValue value;
    std::uint64_t number = 0;  ///< Chunk index, chunk size, allocated bytes, last use or verified.
    std::uint64_t hash = 0;
    std::vector<IndexedChunk> chunks;
    Done<void> done;
  };

  IndexDb(std::unique_ptr<LmdbStore> store, std::function<void(const Error&)> on_problem,
          FaultPoints* faults);
  Result<void> Prepare();
  Result<void> Upgrade();
  void Enqueue(Change change, bool urgent) EXCLUDES(mutex_);
  void Run();
  void Commit(std::deque<Change>& batch);
  int ApplyAll(MDB_txn* txn, const std::deque<Change>& batch);
  int Apply(MDB_txn* txn, const Change& change);
  int ApplyToObject(MDB_txn* txn, const Change& change);
  int ApplyReplace(MDB_txn* txn, const Change& change);
  int ApplyRecord(MDB_txn* txn, const Change& change);
  bool IsSound(MDB_txn* txn, const MDB_val& key, const MDB_val& value) const;
  Result<void> SumRecords();
  int ApplyChunk(MDB_txn* txn, const Change& change);
  int RemoveChunks(MDB_txn* txn, std::uint64_t serial);
  int NextSerial(MDB_txn* txn, std::uint64_t& serial);
  int GetObject(MDB_txn* txn, const std::string& digest, ObjectRecord& record) const;
  int PutObject(MDB_txn* txn, const std::string& digest, const ObjectRecord& record);

  const std::unique_ptr<LmdbStore> store_;
  const std::function<void(const Error&)> on_problem_;
  FaultPoints* const faults_;
  bool needs_rebuild_ = false;
  /// Changes were lost to the disk: the next life must look at the maps again.
  bool lost_ = false;
  bool lost_noted_ = false;  ///< In the index itself.

  Mutex mutex_;
  CondVar wake_;
  std::deque<Change> queue_ GUARDED_BY(mutex_);
  bool urgent_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace modelfs::index
