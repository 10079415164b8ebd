#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/origin.h"
#include "fetch/registry.h"
#include "fs/tree/node_log.h"

namespace modelfs::fs {

// The records of a NodeLog, in the order in which their numbers were given out.

/// The next place at the root.
struct SlotRecord {
  std::uint32_t serial = 0;  ///< Of its directory.
  std::string name;
  std::string origin;  ///< As it describes itself.
};

/// A directory behind an entry of another one.
struct DirectoryRecord {
  std::uint32_t serial = 0;
  std::uint32_t parent = 0;  ///< Serial of the directory that the entry stands in.
  std::uint32_t index = 0;   ///< Of the entry.
};

/// The next entries of a directory, in the order of their indices; none: it was listed, and empty.
struct EntriesRecord {
  std::uint32_t serial = 0;
  std::uint32_t first = 0;  ///< Index of the first one.
  fetch::Listing entries;
};

/// The next registry at the root.
struct RegistryRecord {
  std::uint32_t number = 0;
  std::string name;
  std::string registry;  ///< As it describes itself.
  std::string domain;
  std::vector<std::string> models;  ///< Globs of what is shown.
};

/// The next model of a registry.
struct ModelRecord {
  std::uint32_t registry = 0;
  std::uint32_t number = 0;
  std::string raw;
  std::string shown;
  std::int64_t created_ms = 0;
};

/// The next entry of a registry's models, or what became of one that has a number.
struct LineRecord {
  std::uint32_t registry = 0;
  std::uint32_t number = 0;
  std::uint32_t model = 0;  ///< Number of the model that it belongs to.
  std::string name;
  std::string target;             ///< Of a link; empty: a version.
  fetch::ModelVersion version{};  ///< Of a version.
};

/// The next numbered files of a version.
struct FilesRecord {
  std::uint32_t registry = 0;
  std::uint32_t serial = 0;
  std::uint32_t line = 0;  ///< Number of the version's line.
  fetch::VersionManifest manifest;
};

/// Which file of the cache the kernel reads a node from by itself; see Backings.
struct BackingRecord {
  std::uint64_t node = 0;  ///< Its cold number.
  std::uint32_t life = 0;
  std::int32_t backing_id = 0;  ///< 0: none any more.
};
/// Whether an encoded record is one of those, without decoding it.
bool IsBackingRecord(std::string_view bytes);

using NodeRecord = std::variant<SlotRecord, DirectoryRecord, EntriesRecord, RegistryRecord,
                                ModelRecord, LineRecord, FilesRecord, BackingRecord>;

std::string EncodeNodeRecord(const NodeRecord& record);
/// Appends to `log`; null: nothing is kept.
void Append(const std::shared_ptr<NodeLog>& log, const NodeRecord& record);
/// Errors: kCorrupt, kInvalid.
Result<NodeRecord> DecodeNodeRecord(std::string_view bytes);

}  // namespace modelfs::fs
