#pragma once

#include "fs/cli/command.h"
#include "fs/cli/daemon_paths.h"

namespace modelfs::fs {

/// Downloads all of `target`, showing progress; complains and returns kExitFailed unless all of it
/// is in the cache then.
int WarmPaths(const DaemonPaths& target, const CommandContext& context);

}  // namespace modelfs::fs
