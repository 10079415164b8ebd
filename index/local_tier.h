#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fetch/origin.h"
#include "index/map_file.h"
#include "index/seal.h"

namespace modelfs::index {

/// The files of one object: sparse data of the object's own size, and its map.
struct ObjectFiles {
  Fd data;    ///< Buffered: reads, and writes that are not whole aligned chunks.
  Fd direct;  ///< O_DIRECT, for writing whole chunks; see LocalTier::OpenDirect.
  MapFile map;
  SealState seal = SealState::kNone;
};

/// The cache directory: `FORMAT`, and `objects/<aa>/<digest>/{data,map}`. Knows paths and formats,
/// no states. See FORMAT.md.
///
/// Threads: any. All methods block on the disk.
class LocalTier {
 public:
  static constexpr std::uint32_t kFormat = 2;
  static constexpr std::uint32_t kOldestFormat = 1;  ///< Is read, and turned into kFormat.
  static constexpr std::uint64_t kLeastFreeBytes = 64u << 20;

  enum class DirectWrites : std::uint8_t { kOff, kWhereItWorks };

  /// Opens or makes `directory` (mode 0700, parents too). One that was good before is opened even
  /// if it is full or read-only now, see trouble().
  /// Errors: kDenied, kNoSpace (less than kLeastFreeBytes), kInvalid (made by another format
  /// version; nothing was touched), kIo. The text names the directory and what to do.
  static Result<LocalTier> Open(const std::filesystem::path& directory,
                                std::uint64_t chunk_size_bytes, DirectWrites direct_writes);

  const std::filesystem::path& directory() const { return directory_; }
  /// Why nothing could be written when it was opened.
  const std::optional<Error>& trouble() const { return trouble_; }
  /// The directory's own, which may differ from what was asked for.
  std::uint64_t chunk_size_bytes() const { return chunk_size_bytes_; }
  /// Hash of the kernel's boot id.
  std::uint64_t boot_hash() const { return boot_hash_; }

  /// Files that are there and belong to `id`; a damaged or foreign map counts as not there.
  /// Errors: kNotFound; as FromErrno.
  Result<ObjectFiles> OpenObject(const fetch::ObjectId& id) const;
  /// Opens what OpenObject would; what is missing is made. What was sealed is not opened for
  /// writing, but replaced.
  /// Errors: as FromErrno.
  Result<ObjectFiles> CreateObject(const fetch::ObjectId& id) const;

  /// A descriptor that writes the object's data with O_DIRECT; none where that is refused or
  /// unwanted.
  Fd OpenDirect(const std::string& digest) const;

  /// Seals the object's data, which is `data`. Errors: as FromErrno.
  Result<void> WriteSeal(const std::string& digest, int data) const;
  /// Its data, read-only. Errors: kNotFound (it is not `data` any more); as FromErrno.
  Result<Fd> OpenSealed(const std::string& digest, int data) const;

  /// Unlinks an object's files. Errors: as FromErrno; what was not there is no error.
  Result<void> RemoveObject(const std::string& digest) const;
  /// Blocks of the object's files, in bytes; 0 when there are none, nullopt when that cannot be
  /// known now.
  std::optional<std::uint64_t> AllocatedBytes(const std::string& digest) const;
  static std::optional<std::uint64_t> AllocatedBytes(const ObjectFiles& files);

  /// A pin is an empty file beside data and map: a lost index loses none. On disk when it returns.
  /// Errors: as FromErrno.
  Result<void> SetPinned(const std::string& digest, bool pinned) const;
  bool IsPinned(const std::string& digest) const;

  /// What the filesystem has left for us; nullopt when it does not answer.
  std::optional<std::uint64_t> FreeBytes() const;
  /// Whether a file can be made and some megabytes would fit.
  bool Probe() const;

  /// Calls `each` with the name of every object's folder.
  void ForEachObject(const std::function<void(const std::string& digest)>& each) const;
  /// The map of one object.
  Result<MapFile> OpenMap(const std::string& digest) const;

 private:
  LocalTier(std::filesystem::path directory, std::uint64_t chunk_size_bytes,
            DirectWrites direct_writes);
  std::filesystem::path PathOf(const std::string& digest) const;
  Result<void> OpenData(const std::filesystem::path& path, std::uint64_t size_bytes,
                        ObjectFiles& files) const;

  std::filesystem::path directory_;
  std::uint64_t chunk_size_bytes_;
  DirectWrites direct_writes_;
  std::uint64_t boot_hash_;
  std::optional<Error> trouble_;
};

}  // namespace modelfs::index
