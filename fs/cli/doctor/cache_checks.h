#pragma once

#include "fs/cli/doctor/finding.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// Whether the cache and its index can live where `spec` says: writable, free space, filesystem.
/// Makes nothing that it does not remove.
Findings CheckCache(const DaemonSpec& spec);

}  // namespace modelfs::fs
