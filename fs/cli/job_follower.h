#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "fetch/base/error.h"
#include "fs/cli/command.h"
#include "fs/control/control_client.h"

namespace modelfs::fs {

/// Waits for job `id` of the daemon behind `client` and shows how far it is: a line that redraws
/// itself on a terminal, else a line every few seconds and one at the end.
/// Returns the job as it ended, "done" or "failed" (control/README.md, "Jobs").
/// Errors: of the client; kIo when the daemon went away meanwhile.
Result<nlohmann::json> FollowJob(ControlClient& client, std::uint64_t id,
                                 const CommandContext& context);

}  // namespace modelfs::fs
