#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "fetch/base/error.h"
#include "index/cache.h"

namespace modelfs::index {

/// Reads and writes files at offsets without waiting.
///
/// Threads: Read and Write from any thread, also from a completion; completions run on a thread of
/// the backend with no lock held. The queue is as long as its callers make it: they are bounded by
/// chunk buffers (writes) and by the kernel's limit on FUSE requests (reads).
/// Lifetime: descriptor and memory are borrowed until the completion.
class DiskIo {
 public:
  virtual ~DiskIo() = default;

  /// "io_uring" or "threads".
  virtual std::string_view name() const = 0;

  /// Fills `dst` from `offset` on. The count is short only at the end of the file.
  /// Errors: as FromErrno; kCancelled after Stop.
  virtual void Read(int fd, std::uint64_t offset, std::span<std::byte> dst,
                    Done<std::size_t> done) = 0;

  /// Writes all of `src`.
  /// Errors: as FromErrno (kNoSpace, kInvalid from a refused O_DIRECT, kIo); kCancelled after Stop.
  virtual void Write(int fd, std::uint64_t offset, std::span<const std::byte> src,
                     Done<void> done) = 0;

  /// Waits until everything that was asked for, and what completions ask for, is done; then joins.
  /// Called once, not from a completion.
  virtual void Stop() = 0;

  /// Reads what is in the page cache, without waiting and without a thread. Nullopt when not all of
  /// `dst` is there. Past the end of the file counts as not there.
  static bool ReadNow(int fd, std::uint64_t offset, std::span<std::byte> dst);
};

/// Makes the backend; kAuto probes io_uring and falls back to threads.
/// Errors: kInvalid (io_uring was forced and the kernel refuses it).
Result<std::unique_ptr<DiskIo>> MakeDiskIo(IoBackend backend);

}  // namespace modelfs::index
