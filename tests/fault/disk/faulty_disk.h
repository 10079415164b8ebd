#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "fetch/base/mutex.h"
#include "tests/fault/disk/disk_calls.h"

namespace modelfs::test {

/// A fault of one call site: the calls of one name on one kind of file ("pwrite map").
struct DiskFault {
  std::string site;
  DiskVerdict verdict;
  std::uint64_t first = 1;  ///< The first call that is hit.
  std::uint64_t count = 0;  ///< How many are; 0: all from then on.
};

/// A disk below one directory that misbehaves by script, and counts.
///
/// Threads: any.
class FaultyDisk final : public DiskWatcher {
 public:
  explicit FaultyDisk(std::filesystem::path directory);
  ~FaultyDisk() override;

  /// In place of what was armed before; counts begin anew.
  void Arm(DiskFault fault);
  void Heal();
  /// How often the armed fault struck.
  std::uint64_t struck() const;
  /// The sites that were seen, and how often.
  std::map<std::string, std::uint64_t> sites() const;

  DiskVerdict Before(const DiskCall& call) override;
  void After(const DiskCall&, std::int64_t) override {}

 private:
  std::string SiteOf(const DiskCall& call) const;

  const std::filesystem::path directory_;
  mutable Mutex mutex_;
  std::map<std::string, std::uint64_t> sites_ GUARDED_BY(mutex_);
  DiskFault fault_ GUARDED_BY(mutex_);
  bool armed_ GUARDED_BY(mutex_) = false;
  std::uint64_t hits_ GUARDED_BY(mutex_) = 0;
  std::uint64_t struck_ GUARDED_BY(mutex_) = 0;
};

/// The faults that a call of this name can have.
std::vector<DiskVerdict> FaultsOf(std::string_view call);
/// "ENOSPC", "short", ...
std::string NameOf(const DiskVerdict& verdict);

}  // namespace modelfs::test
