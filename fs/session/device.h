#pragma once

#include <sys/uio.h>

#include <atomic>
#include <memory>
#include <utility>

#include "fetch/base/fault_points.h"
#include "fetch/base/handle.h"
#include "fs/session/device_faults.h"
#include "fs/session/request_record.h"

namespace modelfs::fs {

/// How libfuse reads from and writes to a /dev/fuse descriptor that somebody else may own too.
///
/// Reads can be woken: after Stop they fail with EINTR. The answer to a replayed FUSE_INIT, which
/// the kernel had long ago, can be swallowed.
/// Threads: Read and Write from any; Stop from any.
class Device {
 public:
  /// `fd` is borrowed and becomes non-blocking; libfuse's session closes it. `faults` is borrowed;
  /// null: none.
  explicit Device(int fd, FaultPoints* faults = nullptr);

  ssize_t Read(void* buffer, std::size_t size);
  ssize_t Write(const iovec* parts, int count);
  /// Like Read, but -1 with EAGAIN when nothing is there.
  ssize_t ReadNow(void* buffer, std::size_t size);
  /// Asks the kernel to send again what was read but never answered (Linux 6.9+; ignored before).
  void AskToResend();

  /// From now on requests are remembered there until they are answered. Before the first thread.
  void UseRecord(std::shared_ptr<RequestRecord> record) { record_ = std::move(record); }

  /// The answer to request `unique`, a FUSE_INIT whose kernel offers it, asks for passthrough to
  /// files on filesystems stacked `depth` deep: 1, or 2 for an overlay.
  void AskForPassthrough(std::uint64_t unique, std::uint32_t depth) {
    init_ = unique;
    stack_depth_ = depth;
  }

  void SwallowWrites(bool swallow) { swallow_ = swallow; }
  void Stop();
  bool stopped() const { return stopped_; }

 private:
  const int fd_;
  const std::unique_ptr<DeviceFaults> faults_;  ///< Null in a release.
  std::shared_ptr<RequestRecord> record_;
  Fd wake_;
  std::uint64_t init_ = 0;  ///< 0: none. Set and used before there are threads.
  std::uint32_t stack_depth_ = 0;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> swallow_ = false;
};

}  // namespace modelfs::fs
