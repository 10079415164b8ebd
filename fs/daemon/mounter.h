#pragma once

#include <memory>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/spec.h"

namespace modelfs::fs {

enum class UnmountMode : std::uint8_t {
  kClean,  ///< Only when nobody uses it.
  kLazy,   ///< Out of sight at once; it ends when its last user does.
};

enum class UnmountOutcome : std::uint8_t {
  kGone,  ///< Not mounted any more, or never was.
  kBusy,  ///< Somebody has a file or directory of it open.
};

/// The privileged acts on mounts. The seam between the supervisor and the kernel.
/// Threads: one. Mount and, for ordinary users, Unmount fork: between fork and exec they call what
/// glibc allows there also when the process has other threads.
class Mounter {
 public:
  struct Mounted {
    Fd device;           ///< /dev/fuse; the mount lives until its last copy is closed.
    unsigned minor = 0;  ///< Names the connection; see MountEntry.
  };
  virtual ~Mounter() = default;

  /// Mounts read-only, nosuid, nodev at `spec.mountpoint` (resolved) and returns before anybody
  /// serves it. A broken mount of ours that is in the way is detached first.
  /// Errors: those of CheckMountPoint; kDenied, kIo with what to do.
  virtual Result<Mounted> Mount(const MountSpec& spec) = 0;

  /// Unmounts `mountpoint` (resolved) if the connection `minor` is mounted there.
  /// Errors: kDenied, kIo, kTimeout.
  virtual Result<UnmountOutcome> Unmount(const std::string& mountpoint, unsigned minor,
                                         UnmountMode mode) = 0;

  /// Lets the kernel read ahead a megabyte at a time. Works only after FUSE_INIT was answered.
  /// Errors: kDenied for ordinary users: not worth failing for.
  virtual Result<void> SetReadAhead(unsigned minor) = 0;

  /// Ends the connection: every request in flight and to come fails at once.
  /// Errors: kDenied, kNotFound, kIo.
  virtual Result<void> Abort(unsigned minor) = 0;
};

/// By mount(2) as root, by fusermount3 as an ordinary user.
std::unique_ptr<Mounter> MakeSystemMounter();

}  // namespace modelfs::fs
