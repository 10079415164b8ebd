#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fetch/base/byte_range.h"
#include "fetch/base/mutex.h"

namespace modelfs::test {

/// One request and what became of it.
struct LogEntry {
  /// What the request is to S3.
  enum class Op : std::uint8_t { kGet, kHead, kList, kPut, kOther };

  std::uint64_t id = 0;
  std::uint64_t connection = 0;
  Op op = Op::kOther;
  std::string method;
  std::string path;                    ///< As sent.
  std::string query;                   ///< As sent; signatures of presigned URLs included.
  std::string name;                    ///< "bucket/key", decoded.
  std::optional<ByteRange> range;      ///< Of the object; none when no object was sent.
  int status = 0;                      ///< 0: not answered yet.
  std::uint64_t body_bytes = 0;        ///< Of the response, handed to the kernel.
  std::string fault;                   ///< "drop", "delay,rate"; empty for none.
  std::chrono::microseconds start{0};  ///< Since the origin started.
  std::optional<std::chrono::microseconds> end = {};  ///< None while it goes on.
};

struct KeyStats {
  std::uint64_t gets = 0;
  std::uint64_t body_bytes = 0;
};

struct OriginStats {
  std::uint64_t requests = 0;
  std::uint64_t object_gets = 0;
  std::uint64_t list_requests = 0;
  std::uint64_t heads = 0;
  std::uint64_t puts = 0;
  std::uint64_t object_body_bytes = 0;   ///< Of objects, by GET.
  std::map<std::string, KeyStats> keys;  ///< By "bucket/key".
};

/// Who asked for what. Requests are counted when they arrive; bytes before they reach the client,
/// so that a client that has its answer finds it counted. Keeps the last 500,000 requests.
/// Threads: any.
class RequestLog {
 public:
  /// One request in flight; shared by the log and whoever answers.
  class Record;

  RequestLog() : started_(std::chrono::steady_clock::now()) {}

  /// Takes what `entry` says of the request; gives it its id and time.
  std::shared_ptr<Record> Begin(LogEntry entry);
  /// Its number, from 1.
  static std::uint64_t IdOf(const Record& record);
  void Answer(Record& record, int status, std::optional<ByteRange> range, std::string fault);
  /// Counts body bytes; negative corrects what was counted before it was sent.
  void AddBytes(Record& record, std::int64_t bytes);
  void End(Record& record);

  std::vector<LogEntry> Entries() const;
  OriginStats Stats() const;
  void Reset();

 private:
  std::chrono::microseconds Now() const;

  const std::chrono::steady_clock::time_point started_;
  mutable Mutex mutex_;
  std::deque<std::shared_ptr<Record>> records_ GUARDED_BY(mutex_);
  OriginStats stats_ GUARDED_BY(mutex_);
  std::uint64_t last_id_ GUARDED_BY(mutex_) = 0;
  std::uint64_t generation_ GUARDED_BY(mutex_) = 0;  ///< Counts resets.
};

}  // namespace modelfs::test
