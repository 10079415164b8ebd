#pragma once

#include <chrono>
#include <stop_token>
#include <vector>

#include "fetch/base/error.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// Probes all sources at once and waits for their answers, or until `stop` is requested.
/// Errors: those of Origin::Probe, naming each source that failed; kTimeout, kCancelled.
Result<void> CheckSources(const std::vector<Tree::Source>& sources,
                          std::chrono::milliseconds deadline, const std::stop_token& stop);

}  // namespace modelfs::fs
