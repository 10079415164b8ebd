#pragma once

#include <string>

#include "fs/csi/call_log.h"
#include "fs/csi/volumes.h"

namespace modelfs::fs {

/// What the driver's /metrics tells; README.md has the table.
std::string CsiMetricsPage(const Volumes::Counts& counts, const CallLog::Table& calls);

}  // namespace modelfs::fs
