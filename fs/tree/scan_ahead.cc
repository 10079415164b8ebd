#include "fs/tree/scan_ahead.h"

#include <algorithm>

namespace modelfs::fs {

bool ScanAhead::SayFiles(Seen& seen, Clock::time_point now) {
  seen.files_said = true;
  scans_ = now - last_ < kSoon ? std::min(scans_ + 1, kScans) : 1;
  last_ = now;
  return true;
}

bool ScanAhead::NoteOpen(std::uint32_t serial, std::uint32_t index, Clock::time_point now) {
  const MutexLock lock(mutex_);
  Seen& seen = seen_[serial];
  if (seen.files_said) return false;
  if (!seen.file) seen.file = index;
  return (*seen.file != index || Habit(now)) && SayFiles(seen, now);
}

bool ScanAhead::NoteFolder(std::uint32_t serial, std::uint32_t index, Clock::time_point now) {
  const MutexLock lock(mutex_);
  Seen& seen = seen_[serial];
  if (seen.folders_said) return false;
  if (!seen.folder) seen.folder = index;
  seen.folders_said = *seen.folder != index || Habit(now);
  return seen.folders_said;
}

bool ScanAhead::NoteListed(std::uint32_t serial, Clock::time_point now) {
  const MutexLock lock(mutex_);
  Seen& seen = seen_[serial];
  return !seen.files_said && Habit(now) && SayFiles(seen, now);
}

}  // namespace modelfs::fs
