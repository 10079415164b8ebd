#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fs {

/// The right to use a cache directory: at most one daemon has it.
///
/// An flock(2) on `<cache>/owner`. It belongs to the open file, not to a process: supervisor and
/// worker each hold a copy, so that it stays taken until both are gone, however they end.
class OwnerLock {
 public:
  /// Who has it, for messages. Written by the owner, and stale after a crash.
  struct Owner {
    pid_t pid = 0;
    std::string host;
    std::string control_socket;
  };

  /// Nullopt when another daemon has it. Requires: the directory exists.
  /// Errors: kDenied, kNoSpace, kIo; the text names the directory.
  static Result<std::optional<OwnerLock>> TryAcquire(const std::filesystem::path& cache_directory);

  /// What the last owner wrote; nullopt when that cannot be read.
  static std::optional<Owner> ReadOwner(const std::filesystem::path& cache_directory);

  /// Takes over a copy that the supervisor sent.
  explicit OwnerLock(Fd file) : file_(std::move(file)) {}

  /// Writes who we are. Errors: kNoSpace, kIo.
  Result<void> Record(const Owner& owner);

  int fd() const { return file_.get(); }

 private:
  Fd file_;
};

/// False when `path` was removed or replaced after `fd` was opened: a lock on it guards nothing.
bool StillAt(int fd, const std::filesystem::path& path);

/// The name of this machine, "" if it has none.
std::string HostName();

}  // namespace modelfs::fs
