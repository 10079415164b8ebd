#pragma once

#include <cstdint>
#include <string>

#include "fs/cli/doctor/finding.h"
#include "fs/spec.h"

namespace modelfs::fs {

/// What kind of filesystem a cache directory lies on.
struct FilesystemKind {
  enum class Class : std::uint8_t {
    kLocal,
    kNetwork,  ///< LMDB must not lie there.
    kMemory,   ///< Gone after a reboot, and paid for in memory.
    kOverlay,  ///< A container's own layer: gone with the container.
  };
  Class kind = Class::kLocal;
  std::string name;  ///< "nfs", or "type 0x..." where it has no name here.
};

/// By the magic number of statfs(2).
FilesystemKind ClassifyFilesystem(std::uint64_t magic);

/// Whether the cache and its index can live where `spec` says: writable, free space, filesystem.
/// Makes nothing that it does not remove.
Findings CheckCache(const DaemonSpec& spec);

}  // namespace modelfs::fs
