#include "index/uring_io.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include "fetch/base/thread.h"

namespace modelfs::index {

Result<std::unique_ptr<UringIo>> UringIo::Make() {
  auto ring = std::make_unique<io_uring>();
  // Two entries more than operations: the wake-up read and a spare.
  if (const int rc = io_uring_queue_init(kDepth + 2, ring.get(), 0); rc < 0) {
    return Fail(Errc::kInvalid,
                fmt::format("io_uring_setup: {}", std::generic_category().message(-rc)));
  }
  Fd wake(::eventfd(0, EFD_CLOEXEC));
  if (!wake) {
    const int error_number = errno;
    io_uring_queue_exit(ring.get());
    return FailErrno(error_number, "eventfd");
  }
  return std::unique_ptr<UringIo>(new UringIo(std::move(ring), std::move(wake)));
}

UringIo::UringIo(std::unique_ptr<io_uring> ring, Fd wake)
    : ring_(std::move(ring)),
      wake_(std::move(wake)),
      thread_(StartThread("disk", [this] { Run(); })) {}

UringIo::~UringIo() {
  Stop();
  io_uring_queue_exit(ring_.get());
}

void UringIo::Read(int fd, std::uint64_t offset, std::span<std::byte> dst, Done<std::size_t> done) {
  Enqueue(std::make_unique<Op>(Op{.write = false,
                                  .fd = fd,
                                  .offset = offset,
                                  .data = dst.data(),
                                  .size = dst.size(),
                                  .moved = 0,
                                  .done = std::move(done)}));
}

void UringIo::Write(int fd, std::uint64_t offset, std::span<const std::byte> src, Done<void> done) {
  Enqueue(std::make_unique<Op>(
      Op{.write = true,
         .fd = fd,
         .offset = offset,
         .data = const_cast<std::byte*>(src.data()),  // never written through: see Submit
         .size = src.size(),
         .moved = 0,
         .done = [done = std::move(done)](Result<std::size_t> result) mutable {
           done(result ? Result<void>() : std::unexpected(std::move(result.error())));
         }}));
}

void UringIo::Enqueue(std::unique_ptr<Op> op) {
  bool wake = false;
  std::unique_ptr<Op> refused;
  {
    const MutexLock lock(mutex_);
    if (stopped_) {
      refused = std::move(op);
    } else {
      queue_.push_back(std::move(op));
      wake = std::exchange(asleep_, false);
    }
  }
  if (refused) refused->done(Fail(Errc::kCancelled, "disk: shutting down"));
  if (wake) static_cast<void>(::eventfd_write(wake_.get(), 1));
}

void UringIo::Stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    asleep_ = false;
  }
  static_cast<void>(::eventfd_write(wake_.get(), 1));
  if (thread_.joinable()) thread_.join();
}

void UringIo::ArmWake() {
  if (wake_armed_) return;
  io_uring_sqe* sqe = io_uring_get_sqe(ring_.get());
  io_uring_prep_read(sqe, wake_.get(), &wake_count_, sizeof wake_count_, 0);
  io_uring_sqe_set_data(sqe, nullptr);
  wake_armed_ = true;
}

void UringIo::Submit(std::unique_ptr<Op> op) {
  io_uring_sqe* sqe = io_uring_get_sqe(ring_.get());
  const std::size_t left = op->size - op->moved;
  const auto length =
      static_cast<unsigned>(std::min<std::size_t>(left, std::numeric_limits<int>::max() / 2 + 1));
  if (op->write) {
    io_uring_prep_write(sqe, op->fd, op->data + op->moved, length, op->offset + op->moved);
  } else {
    io_uring_prep_read(sqe, op->fd, op->data + op->moved, length, op->offset + op->moved);
  }
  io_uring_sqe_set_data(sqe, op.release());
  ++in_kernel_;
}

void UringIo::Complete(std::unique_ptr<Op> op, int result) {
  --in_kernel_;
  if (result == -EAGAIN || result == -EINTR) return Submit(std::move(op));
  if (result == 0 && op->write && op->size > 0) result = -ENOSPC;
  if (result < 0) {
    op->done(FailErrno(
        -result, fmt::format("{} [{},+{})", op->write ? "write" : "read", op->offset, op->size)));
    return;
  }
  op->moved += static_cast<std::size_t>(result);
  const bool end_of_file = result == 0;
  if (op->moved < op->size && !end_of_file) return Submit(std::move(op));
  op->done(op->moved);
}

void UringIo::Run() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      while (!queue_.empty() && in_kernel_ < kDepth) {
        Submit(std::move(queue_.front()));
        queue_.pop_front();
      }
      if (queue_.empty() && in_kernel_ == 0 && stopping_) {
        stopped_ = true;
        return;
      }
      asleep_ = queue_.empty();
    }
    ArmWake();
    const int rc = io_uring_submit_and_wait(ring_.get(), 1);
    if (rc < 0 && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY) continue;
    {
      const MutexLock lock(mutex_);
      asleep_ = false;
    }
    io_uring_cqe* cqe = nullptr;
    while (io_uring_peek_cqe(ring_.get(), &cqe) == 0) {
      std::unique_ptr<Op> op(static_cast<Op*>(io_uring_cqe_get_data(cqe)));
      const int result = cqe->res;
      io_uring_cqe_seen(ring_.get(), cqe);
      if (op) {
        Complete(std::move(op), result);
      } else {
        wake_armed_ = false;
      }
    }
  }
}

}  // namespace modelfs::index
