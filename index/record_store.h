#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::index {

/// What small things other layers keep in the index. Each is a key space of its own.
enum class RecordKind : std::uint8_t {
  kListing = 1,   ///< Directories as their origin listed them.
  kManifest = 2,  ///< File lists of immutable model versions.
  kRegistry = 3,  ///< Names, versions and aliases of a registry.
  kProfile = 4,   ///< Access profiles.
  kNodes = 5,     ///< What node ids meant, for the successor of a worker.
};

/// Small values that outlive the process, kept in the index beside the chunks: what is lost with
/// the index can be asked for again, so no record may be the only copy of anything.
///
/// Threads: any. Get and Keys read from memory or from the mapped index and may touch the disk as a
/// page fault does; Put and Erase only queue, the `index` thread commits them with its next batch.
/// A Get sees what the same process has put before.
class RecordStore {
 public:
  virtual ~RecordStore() = default;

  /// Keys are any bytes, up to 64 KiB (longer than LMDB's 511 bytes are kept by their SHA-256).
  /// Values up to 64 MiB.
  /// Errors: kInvalid (too large).
  virtual Result<void> Put(RecordKind kind, std::string_view key, std::string value) = 0;
  virtual void Erase(RecordKind kind, std::string_view key) = 0;
  /// Nullopt: there is none, or the index cannot be read (which was logged).
  virtual std::optional<std::string> Get(RecordKind kind, std::string_view key) const = 0;
  /// All keys of `kind` that start with `prefix`, sorted.
  virtual std::vector<std::string> Keys(RecordKind kind, std::string_view prefix) const = 0;
};

}  // namespace modelfs::index
