#pragma once

#include <lmdb.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "index/index_record.h"

namespace modelfs::index {

// LMDB's values as ours, and the entries of the tables. All return LMDB's codes; a value of a size
// that no entry has is MDB_CORRUPTED. What MDB_val points to dies with the transaction.

inline MDB_val Val(const void* data, std::size_t size) { return {size, const_cast<void*>(data)}; }
inline MDB_val Val(std::string_view text) { return Val(text.data(), text.size()); }

inline std::span<const std::byte> Bytes(const MDB_val& v) {
  return {static_cast<const std::byte*>(v.mv_data), v.mv_size};
}

inline int GetNumber(MDB_txn* txn, MDB_dbi meta, std::string_view name, std::uint64_t& number) {
  MDB_val key = Val(name);
  MDB_val value{};
  if (const int rc = mdb_get(txn, meta, &key, &value); rc != 0) return rc;
  if (value.mv_size != sizeof number) return MDB_CORRUPTED;
  std::memcpy(&number, value.mv_data, sizeof number);
  return 0;
}

inline int PutNumber(MDB_txn* txn, MDB_dbi meta, std::string_view name, std::uint64_t number) {
  MDB_val key = Val(name);
  MDB_val value = Val(&number, sizeof number);
  return mdb_put(txn, meta, &key, &value, 0);
}

inline int GetGroup(MDB_txn* txn, MDB_dbi chunks, std::uint64_t serial, std::uint64_t group,
                    ChunkGroup& out) {
  const auto key_bytes = GroupKey(serial, group);
  MDB_val key = Val(key_bytes.data(), key_bytes.size());
  MDB_val value{};
  if (const int rc = mdb_get(txn, chunks, &key, &value); rc != 0) return rc;
  if (value.mv_size != sizeof out) return MDB_CORRUPTED;
  std::memcpy(&out, value.mv_data, sizeof out);
  return 0;
}

inline int PutGroup(MDB_txn* txn, MDB_dbi chunks, std::uint64_t serial, std::uint64_t group,
                    const ChunkGroup& in) {
  const auto key_bytes = GroupKey(serial, group);
  MDB_val key = Val(key_bytes.data(), key_bytes.size());
  MDB_val value = Val(&in, sizeof in);
  return mdb_put(txn, chunks, &key, &value, 0);
}

}  // namespace modelfs::index
