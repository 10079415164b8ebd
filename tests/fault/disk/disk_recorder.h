#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "fetch/base/mutex.h"
#include "tests/fault/disk/disk_calls.h"

namespace modelfs::test {

/// Notes in order what a program writes below one directory, and makes of that what a disk may hold
/// after the power failed.
///
/// What a file's fsync or fdatasync covered is there, and so are names that their directory's fsync
/// covered. Of the rest each write, each change of a length and each name may be there, may be
/// missing, and of a write any 512 bytes may be.
/// Threads: any.
class DiskRecorder final : public DiskWatcher {
 public:
  /// What is in `directory` now counts as synced; a copy of it is at `base`.
  DiskRecorder(std::filesystem::path directory, std::filesystem::path base);
  ~DiskRecorder() override;

  std::size_t operations() const;
  /// Makes the image `image` of a power failure after `cut` operations.
  /// `share_lost`: of what was not synced, about.
  void Build(const std::filesystem::path& image, std::size_t cut, double share_lost,
             std::mt19937_64& chance) const;

  DiskVerdict Before(const DiskCall&) override { return {}; }
  void After(const DiskCall& call, std::int64_t result) override;

 private:
  enum class Kind : std::uint8_t {
    kMake,
    kMakeFolder,
    kRename,
    kRemove,
    kWrite,
    kResize,
    kPunch,
    kSync
  };
  /// A file or folder whatever it is called; its inode, and which of that number.
  using FileId = std::uint64_t;
  struct Op {
    Kind kind;
    FileId file = 0;
    std::string path;  ///< Below the directory.
    std::string to;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::vector<std::byte> data;
  };
  class Image;

  FileId IdOf(int fd, bool fresh) REQUIRES(mutex_);
  std::string Inside(const std::string& path) const;

  const std::filesystem::path directory_;
  const std::filesystem::path base_;
  mutable Mutex mutex_;
  std::map<std::uint64_t, FileId> ids_ GUARDED_BY(mutex_);
  FileId last_id_ GUARDED_BY(mutex_) = 0;
  std::map<std::string, FileId> base_files_ GUARDED_BY(mutex_);
  std::vector<Op> ops_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::test
