#pragma once

#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/daemon/mount_table.h"

namespace modelfs::fs {

/// The mounts of volumes: the seam between the driver and modelfs and the kernel.
///
/// Threads: any. Every call ends in its time, whatever is broken.
class VolumeMounts {
 public:
  struct Request {
    std::string path;                      ///< Where to; an empty folder.
    std::vector<std::string> arguments;    ///< Of `modelfs mount`, but the path.
    std::vector<std::string> environment;  ///< All of it, "NAME=value".
  };
  virtual ~VolumeMounts() = default;

  /// Has a daemon serve `request.path`; the daemon lives on by itself. At most 45 s.
  /// Errors: those of `modelfs mount`.
  virtual Result<void> Mount(const Request& request) = 0;
  /// Shows the folder `from`, which may follow symlinks inside of a mount, at `target` too. 20 s.
  /// Errors: kNotFound (nothing is at `from`), kDenied, kTimeout, kIo.
  virtual Result<void> Bind(const std::string& from, const std::string& target) = 0;
  /// Takes away whatever of ours is at `target`, also when somebody uses it. 2 s.
  virtual Result<void> Unbind(const std::string& target) = 0;
  /// Ends the mount at `path`, if there is one, whoever uses it: reads that wait fail. 2 s. Its
  /// daemon lets go of it soon after.
  virtual Result<void> Unmount(const std::string& path) = 0;
  virtual Result<MountTable> Table() = 0;
};

}  // namespace modelfs::fs
