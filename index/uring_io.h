#pragma once

#include <liburing.h>

#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"
#include "index/disk_io.h"

namespace modelfs::index {

/// DiskIo on one io_uring, driven by one thread named `disk`.
///
/// Callers append to a queue; the thread, woken through an eventfd when it sleeps, submits all that
/// is there in one system call and runs the completions.
class UringIo final : public DiskIo {
 public:
  /// Errors: kInvalid with the kernel's reason.
  static Result<std::unique_ptr<UringIo>> Make();
  ~UringIo() override;

  std::string_view name() const override { return "io_uring"; }
  void Read(int fd, std::uint64_t offset, std::span<std::byte> dst,
            Done<std::size_t> done) override;
  void Write(int fd, std::uint64_t offset, std::span<const std::byte> src,
             Done<void> done) override;
  void Stop() override;

 private:
  static constexpr unsigned kDepth = 128;  ///< Operations in the kernel at once.

  struct Op {
    bool write = false;
    int fd = -1;
    std::uint64_t offset = 0;
    std::byte* data = nullptr;
    std::size_t size = 0;
    std::size_t moved = 0;
    Done<std::size_t> done;
  };

  UringIo(std::unique_ptr<io_uring> ring, Fd wake);
  void Enqueue(std::unique_ptr<Op> op) EXCLUDES(mutex_);
  void Run();
  void ArmWake();
  void Submit(std::unique_ptr<Op> op);
  void Complete(std::unique_ptr<Op> op, int result);

  const std::unique_ptr<io_uring> ring_;  ///< Touched by the `disk` thread only.
  const Fd wake_;
  std::uint64_t wake_count_ = 0;  ///< Where the eventfd's value lands.
  bool wake_armed_ = false;
  unsigned in_kernel_ = 0;

  Mutex mutex_;
  std::deque<std::unique_ptr<Op>> queue_ GUARDED_BY(mutex_);
  bool asleep_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace modelfs::index
