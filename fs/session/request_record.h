#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fs/session/fuse_api.h"

namespace modelfs::fs {

/// What was read from one /dev/fuse and is not answered yet, where a worker's death cannot reach
/// it: in a memfd that the supervisor holds a copy of. For kernels that cannot send a request again
/// (before Linux 6.9): a successor takes the requests from here instead.
///
///     "MFSREQS1" | greeted u64 | 4096 slots of 512 B | 16 landings of a message
///     slot: number u64 (0: free) | length u32 | message        landing: message (length 0: none)
///
/// A message is read into a landing, so that it is in shared memory before anybody but the kernel
/// knows of it, then put into a slot, where it stays until its answer was written. Whichever moment
/// a kill meets, it is in one of them, or in both. Requests longer than a slot, of which this
/// filesystem has none, and those that find no slot are answered like all others, and lost by a
/// kill.
///
/// Threads: any. One process at a time.
class RequestRecord {
 public:
  /// A new, empty record. Errors: as FromErrno.
  static Result<std::shared_ptr<RequestRecord>> Create();
  /// Goes on with that of a predecessor. Errors: kCorrupt (no such record), as FromErrno.
  static Result<std::shared_ptr<RequestRecord>> Adopt(Fd record);
  ~RequestRecord();
  RequestRecord(const RequestRecord&) = delete;
  RequestRecord& operator=(const RequestRecord&) = delete;

  /// As read(2) from `device` into `buffer`, and remembers what came.
  ssize_t Read(int device, void* buffer, std::size_t size);

  /// The answer to request `unique` was written.
  void OnAnswered(std::uint64_t unique);

  /// The answer to FUSE_INIT was written.
  void SetGreeted();
  bool greeted() const;

  /// Everything that is not answered, oldest first.
  std::vector<std::vector<std::byte>> Unanswered();

  /// A copy of the descriptor, for the supervisor. Errors: as FromErrno.
  Result<Fd> Share() const;

 private:
  struct Layout;
  RequestRecord(Fd fd, Layout* layout) : fd_(std::move(fd)), layout_(layout) {}
  static Result<std::shared_ptr<RequestRecord>> Map(Fd fd);
  void Remember(std::span<const std::byte> message, const FuseInHeader& header);

  static constexpr std::size_t kLandings = 16;
  const Fd fd_;
  Layout* const layout_;
  std::atomic<bool> landing_taken_[kLandings] = {};
};

/// Whether the kernel that sent this FUSE_INIT can send requests again.
bool KernelResends(std::span<const std::byte> init);

}  // namespace modelfs::fs
