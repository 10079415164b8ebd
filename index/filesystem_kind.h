#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace modelfs::index {

/// What kind of filesystem a directory lies on.
struct FilesystemKind {
  enum class Class : std::uint8_t {
    kLocal,
    kNetwork,  ///< Other hosts may have it mounted, too; LMDB must not lie there (lmdb.h, Caveats).
    kMemory,   ///< Gone after a reboot, and paid for in memory.
    kOverlay,  ///< A container's own layer: gone with the container.
  };
  Class kind = Class::kLocal;
  std::string name;  ///< "nfs", or "type 0x..." where it has no name here.
};

/// By the magic number of statfs(2).
FilesystemKind ClassifyFilesystem(std::uint64_t magic);

/// `path`, or what is nearest above it and is there.
std::filesystem::path NearestExisting(std::filesystem::path path);

/// Of a directory, or of the nearest one above it that is there; what cannot be asked counts as
/// local, and is called "unknown". May wait for a server.
FilesystemKind FilesystemKindOf(const std::filesystem::path& directory);

}  // namespace modelfs::index
