#pragma once

#include <string>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// Holds SIGTERM and SIGINT back from now on, so that one that comes while a mount is being made is
/// found by StayWhileMounted (or by a Supervisor) and does not leave the mount behind.
void HoldTermination();

/// Waits until `mountpoint` (resolved), a mount that another process's daemon serves, is gone.
/// SIGTERM and SIGINT unmount it, lazily when it is busy.
/// Requires: one thread. Errors: kIo, those of Unmount.
Result<void> StayWhileMounted(const std::string& mountpoint);

}  // namespace modelfs::fs
