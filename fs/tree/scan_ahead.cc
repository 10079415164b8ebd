#include "fs/tree/scan_ahead.h"

#include <algorithm>

namespace modelfs::fs {

bool ScanAhead::SayFiles(Seen& seen, Clock::time_point now) {
  seen.files_said = true;
  scans_ = now - last_ < kSoon ? std::min(scans_ + 1, kScans) : 1;
  last_ = now;
  return true;
}

bool ScanAhead::NoteOpen(std::uint32_t serial, Clock::time_point now) {
  const MutexLock lock(mutex_);
  Seen& seen = seen_[serial];
  if (seen.files_said) return false;
  seen.opens = static_cast<std::uint8_t>(seen.opens + 1);
  return (seen.opens >= 2 || Habit(now)) && SayFiles(seen, now);
}

bool ScanAhead::NoteFolder(std::uint32_t serial, Clock::time_point now) {
  const MutexLock lock(mutex_);
  Seen& seen = seen_[serial];
  if (seen.folders_said) return false;
  seen.folders = static_cast<std::uint8_t>(seen.folders + 1);
  seen.folders_said = seen.folders >= 2 || Habit(now);
  return seen.folders_said;
}

bool ScanAhead::NoteListed(std::uint32_t serial, Clock::time_point now) {
  const MutexLock lock(mutex_);
  Seen& seen = seen_[serial];
  return !seen.files_said && Habit(now) && SayFiles(seen, now);
}

}  // namespace modelfs::fs
