#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fetch/origin.h"

namespace modelfs::index {

/// One chunk's line in a map file. See FORMAT.md.
struct MapRecord {
  static constexpr std::uint32_t kPresent = 1u << 0;
  static constexpr std::uint32_t kSynced = 1u << 1;     ///< Data reached the disk by fdatasync.
  static constexpr std::uint32_t kCrc64Nvme = 1u << 2;  ///< `crc64nvme` is filled.
  static constexpr std::uint32_t kCrc32 = 1u << 3;
  static constexpr std::uint32_t kCrc32c = 1u << 4;

  std::uint64_t xxh3 = 0;
  std::uint64_t crc64nvme = 0;
  std::uint32_t crc32 = 0;
  std::uint32_t crc32c = 0;
  std::uint32_t flags = 0;
  std::uint64_t boot_hash = 0;  ///< Which boot wrote it.
};

/// The on-disk form of records and header; a `map` file is its header and one record per chunk.
///
/// Threads: const methods from any. The object's id is borrowed by none of them.
class MapFile {
 public:
  static constexpr std::size_t kRecordSize = 64;
  using EncodedRecord = std::array<std::byte, kRecordSize>;

  struct Header {
    fetch::ObjectId id;
    std::uint64_t chunk_size_bytes = 0;
    std::uint64_t size_bytes = 0;  ///< Of the header itself, a multiple of 4096.
  };

  /// Opens an existing map and checks its header.
  /// Errors: kNotFound; kCorrupt (not a map of ours, damaged or cut); kIo and others of FromErrno
  /// (what it says cannot be known now).
  static Result<MapFile> Open(const std::filesystem::path& path);

  /// Makes an empty map at `path` by temporary file and rename; replaces what was there.
  /// Errors: as FromErrno.
  static Result<MapFile> Create(const std::filesystem::path& path, const fetch::ObjectId& id,
                                std::uint64_t chunk_size_bytes);

  const Header& header() const { return header_; }
  int fd() const { return fd_.get(); }
  std::uint64_t OffsetOf(std::uint64_t index) const {
    return header_.size_bytes + index * kRecordSize;
  }

  /// The bytes to put at OffsetOf(index). An erased record is all zero: see kErased.
  EncodedRecord Encode(std::uint64_t index, const MapRecord& record) const;
  static constexpr EncodedRecord kErased{};

  /// Seconds since the epoch.
  std::int64_t LastWritten() const;

  /// Calls `each` for every record that is present and sound; torn, misplaced and foreign records
  /// read as absent. `index` ascends.
  /// Errors: as FromErrno; a short file is no error.
  Result<void> ReadAll(
      const std::function<void(std::uint64_t index, const MapRecord& record)>& each) const;

 private:
  MapFile(Fd fd, Header header);
  bool Decode(std::uint64_t index, std::span<const std::byte> bytes, MapRecord& record) const;
  std::uint64_t Seal(std::uint64_t index, std::span<const std::byte> bytes) const;

  Fd fd_;
  Header header_;
  std::uint64_t seed_ = 0;  ///< Ties records to this object.
};

}  // namespace modelfs::index
