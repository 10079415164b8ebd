#include <sys/ioctl.h>
#include <unistd.h>

#include <iostream>

#include "fs/cli/cli.h"
#include "fs/config.h"

int main(int argc, char** argv) {
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
