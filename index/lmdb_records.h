#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "fetch/base/mutex.h"
#include "index/index_db.h"
#include "index/record_store.h"

namespace modelfs::index {

/// The RecordStore in the index's own environment, table `records`. See FORMAT.md.
///
/// Threads: any. What was put and is not yet committed is found in `pending_`.
/// Lock order: `mutex_`, then the index's queue; no transaction is open under it.
class LmdbRecords final : public RecordStore {
 public:
  static constexpr std::size_t kMostKeyBytes = std::size_t{64} << 10;
  static constexpr std::size_t kMostValueBytes = std::size_t{64} << 20;

  /// `db` is borrowed; it must be stopped before this is destroyed. `on_problem` gets what keeps
  /// the index from being read.
  LmdbRecords(IndexDb& db, std::function<void(const Error&)> on_problem)
      : db_(db), on_problem_(std::move(on_problem)) {}

  Result<void> Put(RecordKind kind, std::string_view key, std::string value) override;
  void Erase(RecordKind kind, std::string_view key) override;
  std::optional<std::string> Get(RecordKind kind, std::string_view key) const override;
  std::vector<std::string> Keys(RecordKind kind, std::string_view prefix) const override;

 private:
  struct Pending {
    std::string key;              ///< As the caller has it.
    IndexDb::RecordValue stored;  ///< As the table gets it; null: erased.
    std::uint64_t serial = 0;     ///< Which Put it was.
  };

  void Queue(RecordKind kind, std::string_view key, IndexDb::RecordValue stored) EXCLUDES(mutex_);

  IndexDb& db_;
  const std::function<void(const Error&)> on_problem_;
  mutable Mutex mutex_;
  std::uint64_t last_serial_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, Pending, std::less<>> pending_ GUARDED_BY(mutex_);  ///< By table key.
};

}  // namespace modelfs::index
