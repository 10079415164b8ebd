#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// The type that our mounts show in /proc/mounts.
inline constexpr std::string_view kFsType = "fuse.modelfs";

/// One line of /proc/self/mountinfo (proc(5)).
struct MountEntry {
  int id = 0;
  int parent = 0;
  unsigned device_major = 0;
  unsigned device_minor = 0;  ///< Also names the FUSE connection and the backing device info.
  std::string mountpoint;     ///< Unescaped.
  std::string fs_type;
  std::string source;
};

/// The mounts of this process's namespace at one moment. Reading it touches no mounted filesystem,
/// so that a broken mount cannot hold up whoever looks.
class MountTable {
 public:
  /// Lines that make no sense are left out.
  static MountTable Parse(std::string_view mountinfo);
  /// Errors: kIo.
  static Result<MountTable> Read();

  /// The mount that a path walk to `mountpoint` would reach: of several stacked, the topmost.
  /// `mountpoint` is compared as text: absolute, no symlinks, no trailing slash.
  std::optional<MountEntry> Find(std::string_view mountpoint) const;
  /// The mount with this device, wherever it is.
  std::optional<MountEntry> FindMinor(unsigned device_minor) const;

  const std::vector<MountEntry>& entries() const { return entries_; }

 private:
  std::vector<MountEntry> entries_;
};

}  // namespace modelfs::fs
