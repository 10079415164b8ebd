#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <iostream>

#include "fs/cli/cli.h"
#include "fs/config.h"

namespace {

/// A core would hold the keys of every source. 1, not 0: of cores that go to a program the kernel
/// drops only those (fs/coredump.c; core(5)).
void ForbidCores() {
  constexpr rlimit kNone{.rlim_cur = 1, .rlim_max = 1};
  static_cast<void>(::setrlimit(RLIMIT_CORE, &kNone));  // Less can always be had.
}

}  // namespace

int main(int argc, char** argv) {
  ForbidCores();
  const modelfs::fs::ProcessEnvironment env;
  winsize size{};
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const bool sized = terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  modelfs::fs::Io io{.out = std::cout,
                     .err = std::cerr,
                     .terminal = terminal,
                     .columns = sized ? size.ws_col : 80};
  return modelfs::fs::Run(argc, argv, env, io);
}
