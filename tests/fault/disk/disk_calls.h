#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace modelfs::test {

/// One system call on something below the watched directory.
struct DiskCall {
  std::string_view name;  ///< "pwrite", "open", ...; "uring_write" and "uring_read" for io_uring.
  std::string path;       ///< Absolute. Of a descriptor: what it is called now.
  std::string to;         ///< Of a rename.
  int fd = -1;            ///< -1 for calls by path.
  std::uint64_t offset = 0;
  std::size_t size = 0;             ///< Bytes to be moved, or the new length.
  std::span<const std::byte> data;  ///< Of a write.
  bool direct = false;              ///< The descriptor, or the flags of an open, are O_DIRECT.
  bool makes = false;               ///< An open with O_CREAT of what was not there.
};

/// What becomes of a call.
struct DiskVerdict {
  enum class Kind : std::uint8_t {
    kPass,
    kFail,   ///< `error`, and nothing is done. A close closes all the same.
    kShort,  ///< Half of the bytes are moved, and the call says so.
    kTorn,   ///< Half of the bytes are written, then `error`.
    kSlow,   ///< Done after a moment.
  };
  Kind kind = Kind::kPass;
  int error = 0;
};

/// Sees the calls that this program, and the libraries that it uses, make below one directory.
///
/// The program that links disk_calls.cc has its own open, pwrite, rename and so on, which every
/// library finds before the C library's. io_uring is seen when operations are submitted.
/// Threads: any, several at once.
class DiskWatcher {
 public:
  virtual ~DiskWatcher() = default;
  virtual DiskVerdict Before(const DiskCall& call) = 0;
  /// `result`: what the call returned, -1 for a failure.
  virtual void After(const DiskCall& call, std::int64_t result) = 0;
};

/// From now on `watcher` sees what happens below `directory`, until null is set. Borrowed. To be
/// called while nobody is at work there.
void WatchDisk(DiskWatcher* watcher, const std::filesystem::path& directory);

/// Who opens the kernel's boot id gets `file` instead; empty: the kernel's.
void UseBootId(const std::filesystem::path& file);

}  // namespace modelfs::test
