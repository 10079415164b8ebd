#include <CLI/CLI.hpp>

#include "fs/cli/command.h"
#include "fs/daemon/launcher.h"
#include "fs/daemon/supervisor_state.h"

namespace modelfs::fs {
namespace {

struct SuperviseOptions {
  int state_fd = -1;
  int check = 0;
};

int Supervise(const SuperviseOptions& options, const CommandContext& context) {
  if (options.check == kSupervisorStateVersion) return kExitDone;
  if (options.check != 0) {
    return context.Complain(
        kExitFailed,
        fmt::format("modelfs {} goes on from a supervisor's state of version {}, not {}",
                    MODELFS_VERSION, kSupervisorStateVersion, options.check));
  }
  return ContinueSupervisor(options.state_fd);
}

}  // namespace

CommandBody DefineSupervise(CLI::App& command) {
  auto options = std::make_shared<SuperviseOptions>();
  auto* state = command.add_option("--state-fd", options->state_fd, "What the old program saved")
                    ->check(CLI::Range(0, 1 << 20));
  command.add_option("--check", options->check, "Whether a state of this version can be read")
      ->excludes(state);
  return [options](const CommandContext& context) { return Supervise(*options, context); };
}

}  // namespace modelfs::fs
