#pragma once

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/daemon/mounter.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// The largest read that the kernel may ask for: what one chunk holds.
inline constexpr unsigned kMaxReadBytes = 1u << 20;

// Mounting as an ordinary user, by the setuid program fusermount3. It sends the descriptor of
// /dev/fuse over the socket that $_FUSE_COMMFD names (libfuse, lib/mount.c).
// Requires: one thread.

/// Errors: kNotFound (not installed), kDenied (its own words and what to do), kTimeout, kIo.
Result<Fd> FusermountMount(const MountSpec& spec);

/// Errors: kNotFound, kDenied, kTimeout, kIo.
Result<UnmountOutcome> FusermountUnmount(const std::string& mountpoint, UnmountMode mode);

}  // namespace modelfs::fs
