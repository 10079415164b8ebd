#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <unordered_map>

#include "fetch/base/mutex.h"

namespace modelfs::fs {

/// Notices that somebody goes through directories of small files, as the imports of a Python
/// environment do: then the neighbours are fetched before they are asked for, instead of one round
/// trip each.
///
/// The second small file that is opened in a directory is a scan of it; the second folder of a
/// directory that is looked into is one of its folders. After a few such scans at short intervals
/// the first one is enough.
///
/// Threads: any. Each directory is said once.
class ScanAhead {
 public:
  using Clock = std::chrono::steady_clock;

  /// What a neighbour may have at most, and all that are fetched for one directory.
  static constexpr std::uint64_t kSmallBytes = 512u << 10;
  static constexpr std::uint64_t kMostBytes = 32u << 20;
  static constexpr std::size_t kMostFiles = 2'000;
  static constexpr std::size_t kMostFolders = 256;

  /// Small file `index` of directory `serial` was opened. True: its neighbours will be.
  bool NoteOpen(std::uint32_t serial, std::uint32_t index, Clock::time_point now) EXCLUDES(mutex_);
  /// Folder `index` of directory `serial` was looked into. True: its neighbours will be.
  bool NoteFolder(std::uint32_t serial, std::uint32_t index, Clock::time_point now)
      EXCLUDES(mutex_);
  /// Directory `serial` was looked into. True: its files will be opened, by all experience.
  bool NoteListed(std::uint32_t serial, Clock::time_point now) EXCLUDES(mutex_);

 private:
  static constexpr int kScans = 3;  ///< So many, each this soon after the last one, are a habit.
  static constexpr std::chrono::seconds kSoon{10};
  struct Seen {
    std::optional<std::uint32_t> file;    ///< The first one.
    std::optional<std::uint32_t> folder;  ///< The first one.
    bool files_said = false;
    bool folders_said = false;
  };
  bool Habit(Clock::time_point now) const REQUIRES(mutex_) {
    return scans_ >= kScans && now - last_ < kSoon;
  }
  bool SayFiles(Seen& seen, Clock::time_point now) REQUIRES(mutex_);

  Mutex mutex_;
  std::unordered_map<std::uint32_t, Seen> seen_ GUARDED_BY(mutex_);
  int scans_ GUARDED_BY(mutex_) = 0;
  Clock::time_point last_ GUARDED_BY(mutex_){};
};

}  // namespace modelfs::fs
