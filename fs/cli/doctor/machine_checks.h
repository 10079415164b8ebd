#pragma once

#include <string>

#include "fs/cli/doctor/finding.h"
#include "fs/config/environment.h"
#include "index/cache.h"

namespace modelfs::fs {

/// `release` is uname's: "6.1.0-18-amd64".
Finding CheckKernel(const std::string& release);

/// /dev/fuse: there, and open to us.
Finding CheckFuseDevice();

/// What an ordinary user needs for mounting (fusermount3, and user_allow_other for --allow-other),
/// or the privilege of root that makes it needless.
Findings CheckMounting(const Environment& env);

/// io_uring, and what is used instead. It is a failure only where `wanted` insists on it.
Finding CheckUring(index::IoBackend wanted);

/// Whether the kernel could read whole files for us (FUSE passthrough).
Finding CheckPassthrough(const std::string& release);

/// Whether mounts get requests of 1 MiB from the kernel where it does not read a file by itself.
Finding CheckReadAhead();

/// All of the above for this machine.
Findings CheckMachine(const Environment& env, index::IoBackend wanted);

}  // namespace modelfs::fs
