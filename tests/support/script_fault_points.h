#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/fault_points.h"
#include "fetch/base/mutex.h"

namespace modelfs::test {

/// Fault points that a test drives: fail the next hits of a point, or stop whoever gets there until
/// the test lets go.
///
/// Threads: any. Destroying it with someone blocked is a mistake of the test.
class ScriptFaultPoints final : public FaultPoints {
 public:
  /// The next `times` hits of `point` fail with `error`; 0 means all from now on.
  void FailNext(const std::string& point, Error error, std::uint64_t times = 1);
  /// `point` works again.
  void Heal(const std::string& point);
  /// Who hits `point` from now on waits for Unblock.
  void Block(const std::string& point);
  void Unblock(const std::string& point);
  /// Waits until `count` hits of `point` were seen in all. False after 10 s.
  bool AwaitHits(const std::string& point, std::uint64_t count);
  std::uint64_t hits(const std::string& point) const;

  std::optional<Error> Hit(std::string_view point) override;

 private:
  struct Point {
    std::uint64_t hits = 0;
    bool blocked = false;
    std::uint64_t failures = 0;
    bool always = false;
    std::optional<Error> error;
  };
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Point, std::less<>> points_ GUARDED_BY(mutex_);
};

}  // namespace modelfs::test
