#include <CLI/CLI.hpp>

#include "fs/cli/command.h"
#include "fs/daemon/launcher.h"

namespace modelfs::fs {

CommandBody DefineWorker(CLI::App& command) {
  auto broker_fd = std::make_shared<int>(-1);
  command.add_option("--broker-fd", *broker_fd, "The supervisor's end")
      ->required()
      ->check(CLI::Range(0, 1 << 20));
  return [broker_fd](const CommandContext& /*context*/) { return RunWorker(*broker_fd); };
}

}  // namespace modelfs::fs
