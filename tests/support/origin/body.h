#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/origin/fault.h"
#include "tests/support/origin/link.h"
#include "tests/support/origin/request_log.h"
#include "tests/support/origin/s3_message.h"

namespace modelfs::test {

/// How the body of one answer goes out, after its faults.
struct BodyPlan {
  std::uint64_t length = 0;  ///< As announced; bytes behind the source's end are 'x'.
  std::optional<std::uint64_t> drop_after = {};
  std::optional<std::uint64_t> stall_after = {};
  std::optional<std::uint64_t> flip_at = {};
  double rate = 0;  ///< 0: only the link's.
  bool chunked = false;

  /// Must the bytes pass through our hands?
  bool faulty() const { return drop_after || stall_after || flip_at || rate > 0 || chunked; }
};

/// Changes `reply` as `faults` say; what happens to its body while it is sent is in the result.
BodyPlan ApplyFaults(const std::vector<Fault>& faults, const std::string& resource, S3Reply& reply);

/// The bytes of one answer, slice by slice. One thread at a time.
class BodyStream {
 public:
  struct Options {
    S3Reply reply;
    BodyPlan plan;
    Link* link = nullptr;       ///< Borrowed.
    Pace* pace = nullptr;       ///< Of the connection; borrowed.
    RequestLog* log = nullptr;  ///< Borrowed.
    std::shared_ptr<RequestLog::Record> record;
    Link::Gone gone;
  };

  enum : ssize_t { kEnd = -1, kBroken = -2 };

  explicit BodyStream(Options options) : options_(std::move(options)) {}

  /// Fills up to `size` bytes of `out` from `position` of the body on, when their time has come:
  /// the count, kEnd, or kBroken (close the connection).
  ssize_t Read(std::uint64_t position, char* out, std::size_t size);

 private:
  bool Fill(std::uint64_t position, std::span<std::byte> out) const;

  Options options_;
};

}  // namespace modelfs::test
