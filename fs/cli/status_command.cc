#include <CLI/CLI.hpp>
#include <optional>

#include "fs/cli/command.h"
#include "fs/cli/daemon_paths.h"
#include "fs/cli/status_text.h"
#include "fs/control/daemon_finder.h"
#include "fs/control/wire.h"

namespace modelfs::fs {
namespace {

struct StatusOptions {
  std::string mountpoint;
  bool json = false;
};

int Status(const StatusOptions& options, const CommandContext& context) {
  const auto chosen = ChooseDaemons(context.env, options.mountpoint);
  if (!chosen) return context.Complain(kExitFailed, chosen.error().what);
  bool first = true;
  for (const auto& daemon : chosen->daemons) {
    if (options.json) {
      context.io.out << Dump(daemon.status) << '\n' << std::flush;
    } else {
      context.io.out << (first ? "" : "\n") << StatusText(daemon.status, chosen->mountpoint)
                     << std::flush;
    }
    first = false;
  }
  return kExitDone;
}

}  // namespace

CommandBody DefineStatus(CLI::App& command) {
  auto options = std::make_shared<StatusOptions>();
  command.add_option("MOUNTPOINT", options->mountpoint, "One mount; default: all daemons of yours");
  command.add_flag("--json", options->json,
                   "One JSON object per daemon and line; fs/control/README.md has its fields");
  return [options](const CommandContext& context) { return Status(*options, context); };
}

}  // namespace modelfs::fs
