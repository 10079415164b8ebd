#pragma once

#include "fs/cli/command.h"
#include "fs/cli/progress.h"

namespace modelfs::fs {

/// Puts progress on the screen: a line that redraws itself on a terminal, else a line every few
/// seconds and one at the end. Ends its line when it goes.
/// Threads: one. Borrows the context.
class ProgressDisplay {
 public:
  explicit ProgressDisplay(const CommandContext& context);
  ~ProgressDisplay();
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;

  void Show(const Progress& progress, Progress::Clock::time_point now, bool last);

 private:
  const CommandContext& context_;
  Progress::Clock::time_point next_plain_line_;
  bool drawn_ = false;
};

}  // namespace modelfs::fs
