#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "fetch/base/mutex.h"
#include "index/disk_io.h"

namespace modelfs::index {

/// DiskIo on four threads with pread and pwrite, for kernels and containers without io_uring.
class ThreadIo final : public DiskIo {
 public:
  ThreadIo();
  ~ThreadIo() override;

  std::string_view name() const override { return "threads"; }
  void Read(int fd, std::uint64_t offset, std::span<std::byte> dst,
            Done<std::size_t> done) override;
  void Write(int fd, std::uint64_t offset, std::span<const std::byte> src,
             Done<void> done) override;
  void Stop() override;

 private:
  using Job = std::move_only_function<void()>;
  static constexpr int kThreads = 4;

  bool Enqueue(Job& job) EXCLUDES(mutex_);
  void Run();

  Mutex mutex_;
  CondVar wake_;
  std::deque<Job> jobs_ GUARDED_BY(mutex_);
  int running_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool stopped_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace modelfs::index
