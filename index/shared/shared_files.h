#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs::index::shared {

/// An open file of a shared directory. Closed by its destructor; errors of that are lost.
///
/// Threads: any; all methods wait for the server.
class SharedFile {
 public:
  virtual ~SharedFile() = default;
  /// The count is short only at the end of the file. Errors: as FromErrno.
  virtual Result<std::size_t> Read(std::uint64_t offset, std::span<std::byte> dst) = 0;
  /// Errors: as FromErrno.
  virtual Result<void> Write(std::uint64_t offset, std::span<const std::byte> src) = 0;
  /// As the server has it. Errors: as FromErrno.
  virtual Result<std::uint64_t> Size() = 0;
  /// fdatasync, then close: whether the server has taken what was written is known only after both
  /// (nfs(5)). The file is closed either way. Errors: as FromErrno.
  virtual Result<void> SyncAndClose() = 0;
};

/// Whether a name was free.
enum class Placed : std::uint8_t {
  kPlaced,  ///< It is ours now.
  kTaken,   ///< Somebody else was first, or we were and the answer was lost.
};

/// What a filesystem says of a file at this moment, not what a client remembers.
struct FileFacts {
  std::int64_t modified_ns = 0;  ///< By the server's clock.
  std::uint64_t size_bytes = 0;
};

struct FilesystemSpace {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< For us.
};

/// The operations that the shared tier needs of a directory which many hosts have mounted. Only
/// what every such filesystem does atomically is relied on: names are made once.
///
/// Paths are relative to the directory. The seam where tests put a filesystem that misbehaves.
/// Threads: any; all methods wait for the server, perhaps for ever: call them in an IoPool.
/// Errors: as FromErrno, with the path; kNotFound where a name or its folder is missing.
class SharedFiles {
 public:
  virtual ~SharedFiles() = default;
  /// For messages: "/mnt/models".
  virtual std::string Describe() const = 0;
  /// What kind of filesystem it is: "nfs". Waits for the server.
  virtual std::string Kind() = 0;

  virtual Result<std::unique_ptr<SharedFile>> OpenToRead(const std::string& path) = 0;
  /// Makes a file that must not be there (O_EXCL), mode 0660. Null: the name is taken.
  virtual Result<std::unique_ptr<SharedFile>> Create(const std::string& path) = 0;
  /// Gives a file a second name. Errors also: kInvalid (no links on this filesystem).
  virtual Result<Placed> Link(const std::string& from, const std::string& to) = 0;
  /// Moves a file to a name that must be free. Errors also: kInvalid (cannot be done).
  virtual Result<Placed> RenameNew(const std::string& from, const std::string& to) = 0;
  /// Moves a file, over another if need be.
  virtual Result<void> Rename(const std::string& from, const std::string& to) = 0;
  /// What is not there is no error.
  virtual Result<void> Unlink(const std::string& path) = 0;
  /// Removes an empty folder; what is not there is no error.
  virtual Result<void> RemoveFolder(const std::string& path) = 0;
  /// Makes a folder and those above it, mode 02770.
  virtual Result<void> MakeFolder(const std::string& path) = 0;
  /// Names in a folder, in no order.
  virtual Result<std::vector<std::string>> List(const std::string& path) = 0;
  /// Asks the server, past what the client has cached.
  virtual Result<FileFacts> Look(const std::string& path) = 0;
  /// Sets the time of a file to the server's present, making the file if need be. The time set.
  virtual Result<std::int64_t> Touch(const std::string& path) = 0;
  virtual Result<FilesystemSpace> Space() = 0;
};

}  // namespace modelfs::index::shared
