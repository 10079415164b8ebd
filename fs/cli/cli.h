#pragma once

#include <chrono>
#include <functional>
#include <iosfwd>

#include "fs/config/environment.h"

namespace modelfs::fs {

/// Exit codes of every command.
inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

/// Where a command writes. Results go to `out`, one line per error to `err`.
struct Io {
  std::ostream& out;
  std::ostream& err;
  bool terminal = false;                         ///< `out` is one: progress may redraw its line.
  int columns = 80;                              ///< Of that terminal.
  std::chrono::milliseconds poll_interval{200};  ///< Between two looks at a job.
};

/// Runs the program's command line and returns its exit code.
/// Threads: the caller's, and none started before the daemon is launched.
int Run(int argc, const char* const* argv, const Environment& env, Io& io);

}  // namespace modelfs::fs
