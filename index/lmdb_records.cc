#include "index/lmdb_records.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "fetch/base/sha256.h"

namespace modelfs::index {
namespace {

/// LMDB's limit, less kind and form.
constexpr std::size_t kMostShort = 511 - 2;
constexpr char kShort = 0;
constexpr char kLong = 1;

std::string TableKey(RecordKind kind, std::string_view key) {
  std::string out(1, static_cast<char>(kind));
  if (key.size() <= kMostShort) return out.append(1, kShort).append(key);
  const Sha256Digest digest = Sha256(key);
  return out.append(1, kLong).append(AsKey(digest));
}

/// A key too long for the table stands before its value.
std::string TableValue(std::string_view key, std::string_view value) {
  const auto length = static_cast<std::uint32_t>(key.size() > kMostShort ? key.size() : 0);
  std::string out(sizeof length, '\0');
  std::memcpy(out.data(), &length, sizeof length);
  if (length > 0) out.append(key);
  return out.append(value);
}

/// Splits a table value; false when it is damaged.
bool Split(std::string_view stored, std::string_view& key, std::string_view& value) {
  std::uint32_t length = 0;
  if (stored.size() < sizeof length) return false;
  std::memcpy(&length, stored.data(), sizeof length);
  stored.remove_prefix(sizeof length);
  if (stored.size() < length) return false;
  key = stored.substr(0, length);
  value = stored.substr(length);
  return true;
}

}  // namespace

Result<void> LmdbRecords::Put(RecordKind kind, std::string_view key, std::string value) {
  if (key.size() > kMostKeyBytes || value.size() > kMostValueBytes) {
    return Fail(Errc::kInvalid, fmt::format("record of kind {}: key of {} bytes, value of {}; at "
                                            "most {} and {} can be kept",
                                            static_cast<int>(kind), key.size(), value.size(),
                                            kMostKeyBytes, kMostValueBytes));
  }
  Queue(kind, key, std::make_shared<const std::string>(TableValue(key, value)));
  return {};
}

void LmdbRecords::Erase(RecordKind kind, std::string_view key) { Queue(kind, key, nullptr); }

void LmdbRecords::Queue(RecordKind kind, std::string_view key, IndexDb::RecordValue stored) {
  std::string table_key = TableKey(kind, key);
  const MutexLock lock(mutex_);
  const std::uint64_t serial = ++last_serial_;
  pending_[table_key] = {std::string(key), stored, serial};
  // Under the lock, so that two puts of one key are committed in the order in which they are seen.
  db_.PutRecord(table_key, std::move(stored), [this, table_key, serial](const Result<void>&) {
    const MutexLock inner(mutex_);
    const auto it = pending_.find(table_key);
    if (it != pending_.end() && it->second.serial == serial) pending_.erase(it);
  });
}

std::optional<std::string> LmdbRecords::Get(RecordKind kind, std::string_view key) const {
  const std::string table_key = TableKey(kind, key);
  IndexDb::RecordValue pending;
  std::string from_table;
  std::string_view stored;
  {
    const MutexLock lock(mutex_);
    if (const auto it = pending_.find(table_key); it != pending_.end()) {
      if (!it->second.stored) return std::nullopt;
      pending = it->second.stored;
    }
  }
  if (pending) {
    stored = *pending;
  } else {
    auto found = db_.FindRecord(table_key);
    if (!found) {
      on_problem_(found.error());
      return std::nullopt;
    }
    std::optional<std::string>& record = *found;
    if (!record) return std::nullopt;
    from_table = *std::move(record);
    stored = from_table;
  }
  std::string_view stored_key;
  std::string_view value;
  if (!Split(stored, stored_key, value)) return std::nullopt;
  return std::string(value);
}

std::vector<std::string> LmdbRecords::Keys(RecordKind kind, std::string_view prefix) const {
  std::set<std::string> keys;
  const std::string base(1, static_cast<char>(kind));
  // Before the table: what is committed in between is then in both, not in neither.
  std::map<std::string, bool> changed;
  {
    const MutexLock lock(mutex_);
    for (auto it = pending_.lower_bound(base); it != pending_.end() && it->first[0] == base[0];
         ++it) {
      if (it->second.key.starts_with(prefix)) {
        changed.emplace(it->second.key, it->second.stored != nullptr);
      }
    }
  }
  if (prefix.size() <= kMostShort) {
    auto read = db_.ForEachRecord(
        base + std::string(1, kShort) + std::string(prefix),
        [&](std::string_view key, std::string_view) { keys.emplace(key.substr(2)); });
    if (!read) on_problem_(read.error());
  }
  auto read = db_.ForEachRecord(base + std::string(1, kLong),
                                [&](std::string_view, std::string_view stored) {
                                  std::string_view key;
                                  std::string_view value;
                                  if (Split(stored, key, value) && key.starts_with(prefix)) {
                                    keys.emplace(key);
                                  }
                                });
  if (!read) on_problem_(read.error());
  for (const auto& [key, present] : changed) {
    if (present) {
      keys.insert(key);
    } else {
      keys.erase(key);
    }
  }
  return {keys.begin(), keys.end()};
}

}  // namespace modelfs::index
