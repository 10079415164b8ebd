#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fs/daemon/mount_table.h"

namespace modelfs::fs {

/// The path under which the kernel lists `mountpoint`: absolute, without symlinks. Looks at the
/// mount table before it touches the last component, so that a broken mount there cannot hold it
/// up. Errors: kNotFound, kDenied, kInvalid (relative).
Result<std::string> ResolveMountPoint(const std::string& mountpoint, const MountTable& table);

/// Whether a FUSE mount still has a daemon.
enum class MountHealth : std::uint8_t {
  kAnswers,
  kBroken,  ///< "Transport endpoint is not connected": its daemon is gone.
  kHangs,   ///< No answer in two seconds.
};

/// Asks the mount at `resolved` in a child process. Requires: one thread.
MountHealth ProbeMount(const std::string& resolved);

/// Whether something can be mounted at `resolved`. A FUSE mount that is broken passes: Mounter
/// detaches it first. A mount of another kind passes when it is empty (a volume of a pod).
/// Errors: one line for people; kNotFound (missing), kInvalid (no directory, not empty, already
/// mounted), kDenied, kIo. Requires: one thread.
Result<void> CheckMountPoint(const std::string& resolved, const MountTable& table);
/// The same, with the mount table as it is now.
Result<void> CheckMountPoint(const std::string& resolved);

}  // namespace modelfs::fs
