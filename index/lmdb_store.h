#pragma once

#include <lmdb.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "index/crash_mark.h"

namespace modelfs::index {

using LmdbEnv = Handle<MDB_env, mdb_env_close>;
using LmdbTxn = Handle<MDB_txn, mdb_txn_abort>;
using LmdbCursor = Handle<MDB_cursor, mdb_cursor_close>;

/// The one place that turns LMDB's codes into ours: MDB_MAP_FULL and ENOSPC are kNoSpace, damage is
/// kCorrupt, a missing key kNotFound.
std::unexpected<Error> LmdbError(std::string_view operation, int rc);

/// An LMDB environment with the five tables of the index, and how to open it safely.
///
/// Threads: Read from any thread; Write and Grow from the `index` thread only. A body must not keep
/// what it saw: memory of a transaction dies with it.
/// Lock order: `growing_` is a leaf; bodies of Read run under it and take no lock.
class LmdbStore {
 public:
  static constexpr std::size_t kFirstMapBytes = std::size_t{256} << 20;

  enum class Table : std::uint8_t { kMeta, kObjects, kChunks, kRecords, kSums };
  using Body = std::function<int(MDB_txn*)>;  ///< Returns an LMDB code; 0 commits.

  /// Opens or makes the environment in `directory`. What does not match the stamp of its last
  /// orderly close, or, where there is no stamp, is no sound LMDB file, is moved aside to
  /// `data.mdb.damaged` and replaced by an empty one; so is what brought down one process after the
  /// other.
  /// One that was there before is opened by the next who writes if it cannot be now (no room, no
  /// descriptors, a disk that is read-only); until then every Read fails.
  /// Errors: as FromErrno for a directory that cannot be used.
  /// `map_bytes`: how large the memory map is at first.
  static Result<std::unique_ptr<LmdbStore>> Open(const std::filesystem::path& directory,
                                                 std::size_t map_bytes = kFirstMapBytes);
  /// Moves what is there aside. Requires: nobody has it open.
  static void SetAside(const std::filesystem::path& directory, std::string_view reason);

  MDB_dbi table(Table t) const { return tables_[static_cast<std::size_t>(t)]; }
  /// Whether its last owner closed it in order.
  bool was_closed() const { return was_closed_; }
  /// Whether there was one before.
  bool existed() const { return existed_; }
  Result<void> Read(const Body& body) const EXCLUDES(growing_);
  /// Doubles the map and starts again when it is full. After a failure that LMDB does not go on
  /// from, the environment is opened anew.
  Result<void> Write(const Body& body) EXCLUDES(growing_);

  enum class Stamping : std::uint8_t { kNo, kYes };
  /// Closes. With a stamp damage done while nobody has it open is found; without one the next Open
  /// takes what it finds for what a kill left.
  void Close(Stamping stamping = Stamping::kYes) EXCLUDES(growing_);

 private:
  LmdbStore(const std::filesystem::path& directory, std::size_t map_bytes)
      : directory_(directory), map_bytes_(map_bytes), mark_(directory / "mark") {}
  Result<void> TryOpen() REQUIRES(growing_);
  Result<void> OpenTables();
  Result<void> Reopen() EXCLUDES(growing_);
  Result<void> Grow() EXCLUDES(growing_);
  int WriteOnce(const Body& body);

  const std::filesystem::path directory_;
  const std::size_t map_bytes_;
  CrashMark mark_;
  bool was_closed_ = false;
  bool existed_ = false;
  int open_code_ = 0;      ///< LMDB's, of the last attempt.
  mutable Mutex growing_;  ///< Keeps readers out while the map is resized.
  LmdbEnv env_;  ///< Changed by Open, Close and the writer, under `growing_`; null when broken.
  mutable LmdbTxn reader_ GUARDED_BY(growing_);  ///< Reset between reads; renewing beats beginning.
  std::array<MDB_dbi, 5> tables_{};
};

}  // namespace modelfs::index
