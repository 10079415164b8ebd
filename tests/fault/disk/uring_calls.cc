// io_uring's operations, with the watcher in front: they are looked at, and changed, between the
// program's filling of the queue and the kernel's.
#include <liburing.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <unordered_map>

#include "tests/fault/disk/disk_calls_real.h"

namespace modelfs::test {
namespace {

/// Operations that were replaced by one that does nothing, and what they are to return.
std::mutex g_mutex;
std::unordered_map<std::uint64_t, int> g_results;  // Guarded by g_mutex.

void Replace(io_uring_sqe& sqe, int result) {
  const std::uint64_t user_data = sqe.user_data;
  io_uring_prep_nop(&sqe);
  sqe.user_data = user_data;
  const std::lock_guard lock(g_mutex);
  g_results[user_data] = result;
}

void Look(io_uring_sqe& sqe) {
  const bool writes = sqe.opcode == IORING_OP_WRITE;
  if (!writes && sqe.opcode != IORING_OP_READ) return;
  DiskCall call{.name = writes ? "uring_write" : "uring_read",
                .path = {},
                .fd = sqe.fd,
                .offset = sqe.off,
                .size = sqe.len};
  DiskWatcher* watcher = WatcherOf(sqe.fd, call.path);
  if (watcher == nullptr) return;
  call.direct = IsDirect(sqe.fd);
  const auto* bytes = reinterpret_cast<const std::byte*>(sqe.addr);  // NOLINT
  if (writes) call.data = {bytes, sqe.len};
  const DiskVerdict verdict = watcher->Before(call);
  watcher->After(call, 0);
  switch (verdict.kind) {
    case DiskVerdict::Kind::kPass: break;
    case DiskVerdict::Kind::kFail: Replace(sqe, -verdict.error); break;
    case DiskVerdict::Kind::kShort:
      if (sqe.len > 1) sqe.len /= 2;
      break;
    case DiskVerdict::Kind::kTorn: {
      static const auto real_pwrite =
          Real<ssize_t (*)(int, const void*, std::size_t, off_t)>("pwrite");
      static_cast<void>(real_pwrite(sqe.fd, bytes, sqe.len / 2, static_cast<off_t>(sqe.off)));
      Replace(sqe, -verdict.error);
      break;
    }
    case DiskVerdict::Kind::kSlow: AMoment(); break;
  }
}

}  // namespace
}  // namespace modelfs::test

extern "C" int io_uring_submit_and_wait(io_uring* ring, unsigned wait_nr) {
  using modelfs::test::g_mutex;
  using modelfs::test::g_results;
  static const auto real =
      modelfs::test::Real<int (*)(io_uring*, unsigned)>("io_uring_submit_and_wait");
  for (unsigned i = ring->sq.sqe_head; i != ring->sq.sqe_tail; ++i) {
    modelfs::test::Look(ring->sq.sqes[i & ring->sq.ring_mask]);
  }
  const int rc = real(ring, wait_nr);
  // One that does nothing is complete when it was submitted: none of them can come later.
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  const std::lock_guard lock(g_mutex);
  io_uring_for_each_cqe(ring, head, cqe) {
    const auto found = g_results.find(cqe->user_data);
    if (found == g_results.end()) continue;
    cqe->res = found->second;
    g_results.erase(found);
  }
  return rc;
}
