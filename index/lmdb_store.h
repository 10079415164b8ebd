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

namespace modelfs::index {

using LmdbEnv = Handle<MDB_env, mdb_env_close>;
using LmdbTxn = Handle<MDB_txn, mdb_txn_abort>;
using LmdbCursor = Handle<MDB_cursor, mdb_cursor_close>;

/// The one place that turns LMDB's codes into ours: MDB_MAP_FULL and ENOSPC are kNoSpace, damage is
/// kCorrupt, a missing key kNotFound.
std::unexpected<Error> LmdbError(std::string_view operation, int rc);

/// An LMDB environment with the four tables of the index, and how to open it safely.
///
/// Threads: Read from any thread; Write and Grow from the `index` thread only. A body must not keep
/// what it saw: memory of a transaction dies with it.
/// Lock order: `growing_` is a leaf; bodies of Read run under it and take no lock.
class LmdbStore {
 public:
  static constexpr std::size_t kFirstMapBytes = std::size_t{256} << 20;

  enum class Table : std::uint8_t { kMeta, kObjects, kChunks, kRecords };
  using Body = std::function<int(MDB_txn*)>;  ///< Returns an LMDB code; 0 commits.

  /// Opens or makes the environment in `directory`. What cannot be opened, or does not match the
  /// stamp of its last orderly close, is moved aside to `damaged-N` and replaced by an empty one.
  /// Errors: as FromErrno for a directory that cannot be used at all.
  /// `map_bytes`: how large the memory map is at first.
  static Result<std::unique_ptr<LmdbStore>> Open(const std::filesystem::path& directory,
                                                 std::size_t map_bytes = kFirstMapBytes);

  MDB_dbi table(Table t) const { return tables_[static_cast<std::size_t>(t)]; }
  /// Whether its last owner closed it in order.
  bool was_closed() const { return was_closed_; }
  Result<void> Read(const Body& body) const EXCLUDES(growing_);
  /// Doubles the map and starts again when it is full.
  Result<void> Write(const Body& body) EXCLUDES(growing_);

  /// Closes and leaves a stamp, so that damage done while nobody had it open is found.
  void Close() EXCLUDES(growing_);

 private:
  LmdbStore(std::filesystem::path directory, std::size_t map_bytes)
      : directory_(std::move(directory)), map_bytes_(map_bytes) {}
  Result<void> TryOpen();
  Result<void> Grow() EXCLUDES(growing_);

  const std::filesystem::path directory_;
  const std::size_t map_bytes_;
  bool was_closed_ = false;
  mutable Mutex growing_;  ///< Keeps readers out while the map is resized.
  LmdbEnv env_;
  mutable LmdbTxn reader_ GUARDED_BY(growing_);  ///< Reset between reads; renewing beats beginning.
  std::array<MDB_dbi, 4> tables_{};
};

}  // namespace modelfs::index
