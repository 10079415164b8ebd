#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fetch/base/fault_points.h"
#include "fetch/base/mutex.h"

namespace modelfs::test {

/// Fault points that another process steers through a file that both have mapped; what it says
/// outlives the worker that dies of it. The other side is fault_board.py.
///
/// Threads: any.
class FaultBoard final : public FaultPoints {
 public:
  /// Maps `path`, which the other side has made; a process without a board has no faults.
  explicit FaultBoard(const std::string& path);

  std::optional<Error> Hit(std::string_view point) override;

 private:
  enum class Action : std::uint32_t { kNone, kKill, kBlock, kFail };
  /// One line of the board. fault_board.py knows the places of these fields.
  struct Slot {
    char name[64];
    std::atomic<Action> action;
    std::atomic<std::uint32_t> countdown;  ///< It acts at the hit that makes this 0, and after it.
    std::atomic<std::int32_t> error;       ///< errno of kFail.
    std::atomic<std::uint32_t> waiting;    ///< Threads that are blocked here.
    std::atomic<std::uint64_t> hits;
    std::atomic<std::uint64_t> acted;
    std::atomic<std::uint64_t> acted_at;  ///< CLOCK_MONOTONIC of the last time, in ns.
    char padding[24];
  };
  static_assert(sizeof(Slot) == 128);
  static constexpr std::size_t kSlots = 64;

  Slot* Find(std::string_view point) EXCLUDES(mutex_);

  Mutex mutex_;  ///< For new lines.
  std::span<Slot> slots_;
};

}  // namespace modelfs::test
