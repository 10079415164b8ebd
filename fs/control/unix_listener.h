#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fs {

/// A listening unix socket at a path: mode 0600 in a folder of our own with mode 0700.
///
/// The destructor removes the file if it is still the one that was made here.
class UnixListener {
 public:
  /// Errors: as ControlServer::Start.
  static Result<UnixListener> Bind(const std::string& path);

  UnixListener(UnixListener&&) noexcept = default;
  UnixListener& operator=(UnixListener&&) = delete;
  ~UnixListener();

  int fd() const { return fd_.get(); }

 private:
  UnixListener(Fd fd, std::string path, dev_t device, ino_t inode)
      : fd_(std::move(fd)), path_(std::move(path)), device_(device), inode_(inode) {}

  Fd fd_;
  std::string path_;
  dev_t device_;
  ino_t inode_;
};

/// Makes sure that `directory` is a folder that nobody else can enter, and makes it if missing.
/// Errors: kInvalid (another user's, no folder), kDenied, kNoSpace, kIo.
Result<void> MakePrivateDirectory(const std::filesystem::path& directory);

}  // namespace modelfs::fs
