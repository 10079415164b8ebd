#include "index/read_ahead.h"

#include <algorithm>

namespace modelfs::index {
namespace {

/// How far behind its front a read may begin and still belong to a cursor.
constexpr std::uint64_t kBehind = 4u << 20;
/// How far in front; reads of one sequence overtake each other.
constexpr std::uint64_t kAhead = 1u << 20;
/// Reads before a sequence is believed: two may be chance.
constexpr std::uint64_t kReads = 3;
/// The same where reads leave gaps.
constexpr std::uint64_t kStrideReads = 8;
/// When a run is this long and an eighth of the object, all the rest is wanted.
constexpr std::uint64_t kBulkRun = 128u << 20;
constexpr std::uint64_t kWindowPerRun = 4;
/// A run of this length, in more than one read, is no accident.
constexpr std::uint64_t kLongRun = 3u << 19;
constexpr std::uint64_t kPartRead = 512;
/// Of the next tensor not more than this is taken for wanted, however long the last one was.
constexpr std::uint64_t kMostGuess = 16u << 20;

}  // namespace

ReadAhead::Advice ReadAhead::Note(ByteRange read) {
  if (read.empty()) return {};
  Advice advice;
  Cursor* cursor = Find(read);
  if (cursor != nullptr) {
    Advance(*cursor, read);
    advice.window = WindowOf(*cursor, read);
    return advice;
  }
  DoubtLongRuns();
  cursor = &Replace(read);
  newest_ = cursor->id;
  Advance(*cursor, read);
  if (long_run_ == 0) return advice;
  advice.whole = WholeWish();
  const std::uint64_t end =
      std::min(read.begin + std::min(long_run_, kMostGuess), options_.object_bytes);
  if (end > read.end) {
    cursor->wanted = end;
    advice.window = Window{.cursor = cursor->id, .range = {read.end, end}};
  }
  return advice;
}

/// The next tensor will be as long as the last one, unless the last one was not.
void ReadAhead::DoubtLongRuns() {
  for (const Cursor& last : cursors_) {
    if (last.id != newest_ || last.front - last.start >= long_run_ / 2) continue;
    long_run_ = long_run_ / 2 < kLongRun ? 0 : long_run_ / 2;
  }
}

std::optional<ReadAhead::Window> ReadAhead::WindowOf(Cursor& cursor, ByteRange read) {
  const std::uint64_t run = cursor.front - cursor.start;
  if (cursor.reads >= 2 && run >= kLongRun && 2 * cursor.read_bytes >= run) long_run_ = run;
  const std::uint64_t enough = 2 * cursor.read_bytes >= run ? kReads : kStrideReads;
  if (cursor.reads < enough && read.size() < options_.chunk_bytes) return std::nullopt;
  if (cursor.reads < 2 || cursor.bytes < run / 2) return std::nullopt;

  const std::uint64_t per_run = run < kLongRun ? 2 : kWindowPerRun;
  std::uint64_t length =
      std::clamp(per_run * run, options_.chunk_bytes, options_.most_window_bytes);
  if (run >= kBulkRun && run >= options_.object_bytes / 8) length = options_.object_bytes;
  const std::uint64_t end = std::min(cursor.front + length, options_.object_bytes);
  // Not for every few bytes: a quarter of the window must have been used up.
  if (cursor.wanted > cursor.front && end < options_.object_bytes &&
      end - cursor.wanted < length / 4) {
    return std::nullopt;
  }
  if (end <= cursor.wanted || end <= cursor.front) return std::nullopt;
  cursor.wanted = end;
  return Window{.cursor = cursor.id, .range = {cursor.front, end}};
}

void ReadAhead::Forget() {
  cursors_.clear();
  long_run_ = 0;
  read_bytes_ = 0;
  wished_ = false;
}

void ReadAhead::Advance(Cursor& cursor, ByteRange read) {
  cursor.used = ++clock_;
  read_bytes_ += read.size();
  // What leaves gaps is believed only while it goes forwards: reads at random do not.
  if (read.begin + kAhead < cursor.front && 2 * cursor.read_bytes < cursor.front - cursor.start) {
    cursor.reads = 0;
  }
  cursor.start = std::min(cursor.start, read.begin);
  cursor.front = std::max(cursor.front, read.end);
  Count(cursor, read);
  cursor.read_bytes += read.size();
  ++cursor.reads;
}

/// Adds the chunks of a read that are new to the cursor.
void ReadAhead::Count(Cursor& cursor, ByteRange read) {
  const std::uint64_t chunk = options_.chunk_bytes;
  const std::uint64_t begin = std::max(cursor.touched, read.begin / chunk * chunk);
  const std::uint64_t end = (read.end + chunk - 1) / chunk * chunk;
  if (end <= begin) return;
  cursor.bytes += end - begin;
  cursor.touched = end;
}

bool ReadAhead::WholeWish() {
  // The larger the object, the more it takes to believe that.
  if (wished_ || read_bytes_ < options_.object_bytes / kPartRead) return false;
  wished_ = true;
  return true;
}

ReadAhead::Cursor* ReadAhead::Find(ByteRange read) {
  Cursor* best = nullptr;
  for (Cursor& c : cursors_) {
    if (read.begin + kBehind < c.front || read.begin > c.front + kAhead) continue;
    if (read.end + kBehind < c.start) continue;
    const auto distance = [&](const Cursor& x) {
      return read.begin > x.front ? read.begin - x.front : x.front - read.begin;
    };
    if (best == nullptr || distance(c) < distance(*best)) best = &c;
  }
  return best;
}

ReadAhead::Cursor& ReadAhead::Replace(ByteRange read) {
  Cursor fresh;
  fresh.id = ++last_id_;
  fresh.start = read.begin;
  fresh.front = read.begin;
  fresh.touched = read.begin / options_.chunk_bytes * options_.chunk_bytes;
  if (cursors_.size() < options_.cursors) return cursors_.emplace_back(fresh);
  Cursor& oldest =
      *std::min_element(cursors_.begin(), cursors_.end(),
                        [](const Cursor& a, const Cursor& b) { return a.used < b.used; });
  oldest = fresh;
  return oldest;
}

}  // namespace modelfs::index
