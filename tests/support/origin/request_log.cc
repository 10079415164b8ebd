#include "tests/support/origin/request_log.h"

#include <algorithm>
#include <utility>

namespace modelfs::test {
namespace {

constexpr std::size_t kMaxRecords = 500'000;

/// A correction may reach counts that were reset meanwhile: never below nothing.
void Add(std::uint64_t& count, std::int64_t bytes) {
  const auto less = static_cast<std::uint64_t>(std::max<std::int64_t>(-bytes, 0));
  count = bytes >= 0 ? count + static_cast<std::uint64_t>(bytes) : count - std::min(count, less);
}

}  // namespace

/// Guarded by the log's mutex.
class RequestLog::Record {
 public:
  LogEntry entry;
  std::uint64_t generation = 0;
};

std::chrono::microseconds RequestLog::Now() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                               started_);
}

std::shared_ptr<RequestLog::Record> RequestLog::Begin(LogEntry entry) {
  auto record = std::make_shared<Record>();
  const MutexLock lock(mutex_);
  entry.id = ++last_id_;
  entry.start = Now();
  ++stats_.requests;
  switch (entry.op) {
    case LogEntry::Op::kGet:
      ++stats_.object_gets;
      ++stats_.keys[entry.name].gets;
      break;
    case LogEntry::Op::kHead: ++stats_.heads; break;
    case LogEntry::Op::kList: ++stats_.list_requests; break;
    case LogEntry::Op::kPut: ++stats_.puts; break;
    case LogEntry::Op::kOther: break;
  }
  record->entry = std::move(entry);
  record->generation = generation_;
  records_.push_back(record);
  if (records_.size() > kMaxRecords) records_.pop_front();
  return record;
}

std::uint64_t RequestLog::IdOf(const Record& record) { return record.entry.id; }

void RequestLog::Answer(Record& record, int status, std::optional<ByteRange> range,
                        std::string fault) {
  const MutexLock lock(mutex_);
  record.entry.status = status;
  record.entry.range = range;
  record.entry.fault = std::move(fault);
}

void RequestLog::AddBytes(Record& record, std::int64_t bytes) {
  const MutexLock lock(mutex_);
  Add(record.entry.body_bytes, bytes);
  if (record.entry.op != LogEntry::Op::kGet || !record.entry.range) return;
  if (bytes < 0 && record.generation != generation_) return;
  Add(stats_.object_body_bytes, bytes);
  Add(stats_.keys[record.entry.name].body_bytes, bytes);
}

void RequestLog::End(Record& record) {
  const MutexLock lock(mutex_);
  record.entry.end = Now();
}

std::vector<LogEntry> RequestLog::Entries() const {
  const MutexLock lock(mutex_);
  std::vector<LogEntry> entries;
  entries.reserve(records_.size());
  for (const auto& record : records_) entries.push_back(record->entry);
  return entries;
}

OriginStats RequestLog::Stats() const {
  const MutexLock lock(mutex_);
  return stats_;
}

void RequestLog::Reset() {
  const MutexLock lock(mutex_);
  records_.clear();
  stats_ = {};
  ++generation_;
}

}  // namespace modelfs::test
