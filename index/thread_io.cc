#include "index/thread_io.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "fetch/base/thread.h"

namespace modelfs::index {
namespace {

Result<std::size_t> ReadFully(int fd, std::uint64_t offset, std::span<std::byte> dst) {
  std::size_t filled = 0;
  while (filled < dst.size()) {
    const ssize_t n =
        ::pread(fd, dst.data() + filled, dst.size() - filled, static_cast<off_t>(offset + filled));
    if (n == 0) break;
    if (n < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return FailErrno(errno, fmt::format("read [{},+{})", offset, dst.size()));
    }
    filled += static_cast<std::size_t>(n);
  }
  return filled;
}

Result<void> WriteFully(int fd, std::uint64_t offset, std::span<const std::byte> src) {
  std::size_t written = 0;
  while (written < src.size()) {
    const ssize_t n = ::pwrite(fd, src.data() + written, src.size() - written,
                               static_cast<off_t>(offset + written));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) {
      return FailErrno(n == 0 ? ENOSPC : errno, fmt::format("write [{},+{})", offset, src.size()));
    }
    written += static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace

ThreadIo::ThreadIo() {
  threads_.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads_.push_back(StartThread(fmt::format("disk-{}", i), [this] { Run(); }));
  }
}

ThreadIo::~ThreadIo() { Stop(); }

bool ThreadIo::Enqueue(Job& job) {
  const MutexLock lock(mutex_);
  if (stopped_) return false;
  jobs_.push_back(std::move(job));
  wake_.NotifyOne();
  return true;
}

void ThreadIo::Read(int fd, std::uint64_t offset, std::span<std::byte> dst,
                    Done<std::size_t> done) {
  auto shared = std::make_shared<Done<std::size_t>>(std::move(done));
  Job job = [fd, offset, dst, shared] { (*shared)(ReadFully(fd, offset, dst)); };
  if (!Enqueue(job)) (*shared)(Fail(Errc::kCancelled, "read: shutting down"));
}

void ThreadIo::Write(int fd, std::uint64_t offset, std::span<const std::byte> src,
                     Done<void> done) {
  auto shared = std::make_shared<Done<void>>(std::move(done));
  Job job = [fd, offset, src, shared] { (*shared)(WriteFully(fd, offset, src)); };
  if (!Enqueue(job)) (*shared)(Fail(Errc::kCancelled, "write: shutting down"));
}

void ThreadIo::Stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  const MutexLock lock(mutex_);
  stopped_ = true;
}

void ThreadIo::Run() {
  MutexLock lock(mutex_);
  for (;;) {
    // A running job may ask for more, so the last one to finish ends the pool.
    while (jobs_.empty() && !(stopping_ && running_ == 0)) wake_.Wait(mutex_);
    if (jobs_.empty()) break;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    ++running_;
    lock.Unlock();
    job();
    job = nullptr;
    lock.Lock();
    --running_;
    if (stopping_) wake_.NotifyAll();
  }
}

}  // namespace modelfs::index
