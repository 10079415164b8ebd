#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/fault_points.h"
#include "fetch/base/handle.h"
#include "fs/session/passthrough.h"
#include "fs/session/request_record.h"
#include "fs/signature/signatures.h"
#include "fs/spec.h"
#include "fs/tree/tree.h"

namespace modelfs::fs {

/// One mount being served: the FUSE protocol on one /dev/fuse descriptor.
///
/// Threads: `fuse-N` threads of its own read requests; replies come from whatever thread completes
/// them. Create, Stop and the destructor are called by one owner thread.
class Session {
 public:
  struct Options {
    Passthrough passthrough = Passthrough::kOff;
    int threads = 4;                            ///< `fuse-N` threads.
    std::chrono::milliseconds read_timeout{0};  ///< Parked reads fail with EIO after it; 0: never.
    FaultPoints* faults = nullptr;              ///< Borrowed, outlives all replies; null: none.
    std::vector<std::byte> saved_init;          ///< FUSE_INIT to replay; empty: the kernel's first.
    std::shared_ptr<Signatures> signatures;     ///< Asked at each open; null: nobody is.
    /// Where requests are remembered if the kernel cannot send them again; null: nowhere.
    std::shared_ptr<RequestRecord> record;
    bool resend = true;  ///< False: use `record` whatever the kernel can.
    /// Gets the kernel's FUSE_INIT message, to be kept for a successor. Called once.
    std::function<void(std::span<const std::byte>)> on_init;
    /// Called once, on a session thread, when the kernel says that the mount is gone (unmounted or
    /// aborted). May not destroy the session.
    std::function<void()> on_unmounted;
  };

  /// Starts to serve `device` (an open, mounted /dev/fuse). `tree` is shared.
  static Result<std::unique_ptr<Session>> Start(Fd device, std::shared_ptr<Tree> tree,
                                                Options options);
  virtual ~Session() = default;

  /// Ends the threads; parked requests are answered with an error. Does not unmount. Idempotent.
  virtual void Stop() = 0;

  /// Like Stop, but what was not answered stays so: a successor on the same /dev/fuse answers it.
  virtual void Leave() = 0;

  /// Whether a thread has been busy with one request for longer than `limit`: none ever waits, so
  /// something is wrong.
  virtual bool Hangs(std::chrono::milliseconds limit) const = 0;

  virtual PassthroughState passthrough() const = 0;

  /// Requests parked at the moment.
  virtual std::size_t Parked() const = 0;
};

}  // namespace modelfs::fs
