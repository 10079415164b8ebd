#pragma once

#include <cstddef>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/origin.h"
#include "index/profile_file.h"
#include "index/record_store.h"

namespace modelfs::fs {

// Access profiles on their way between the records of a cache and a file.

/// What is known of `ids`, one profile per name and size: at most ProfileFile::kMostProfiles.
index::ProfileFile GatherProfiles(const index::RecordStore& records,
                                  const std::vector<fetch::ObjectId>& ids);

/// Keeps what `file` says, for objects that nobody has loaded here. Returns how many that are.
/// Errors: those of RecordStore::Put.
Result<std::size_t> KeepProfiles(index::RecordStore& records, const index::ProfileFile& file);

}  // namespace modelfs::fs
