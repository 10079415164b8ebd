#include "fs/cli/progress_display.h"

#include <chrono>

namespace modelfs::fs {
namespace {

constexpr std::chrono::seconds kPlainLineEvery{5};

}  // namespace

ProgressDisplay::ProgressDisplay(const CommandContext& context)
    : context_(context), next_plain_line_(Progress::Clock::now() + kPlainLineEvery) {}

ProgressDisplay::~ProgressDisplay() {
  if (drawn_) context_.io.out << '\n' << std::flush;
}

void ProgressDisplay::Show(const Progress& progress, Progress::Clock::time_point now, bool last) {
  if (last && progress.empty()) return;
  Io& io = context_.io;
  if (io.terminal) {
    // Back to the start, draw over it, erase what a longer line left behind.
    io.out << '\r' << progress.Bar(io.columns) << "\x1b[K" << std::flush;
    drawn_ = true;
  } else if (last || now >= next_plain_line_) {
    io.out << context_.name << ": " << progress.Text() << '\n' << std::flush;
    next_plain_line_ = now + kPlainLineEvery;
  }
}

}  // namespace modelfs::fs
