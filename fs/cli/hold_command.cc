#include <CLI/CLI.hpp>
#include <chrono>
#include <string>

#include "fs/cli/command.h"
#include "fs/config/duration.h"
#include "fs/daemon/log.h"
#include "fs/daemon/mount_holder.h"

namespace modelfs::fs {
namespace {

struct HoldOptions {
  std::string socket;
  std::string patience = "5m";
};

int Hold(const HoldOptions& options, const CommandContext& context) {
  const auto patience = ParseDuration(options.patience);
  if (!patience) {
    return context.Complain(
        kExitUsage, fmt::format("--patience {}: {}", options.patience, patience.error().what));
  }
  SetUpLog("hold", "info");
  auto holder =
      MountHolder::Listen({.socket = AbsolutePath(options.socket), .patience = *patience});
  if (!holder) return context.Complain(kExitFailed, holder.error().what);
  return holder->Run();
}

}  // namespace

CommandBody DefineHold(CLI::App& command) {
  auto options = std::make_shared<HoldOptions>();
  command.add_option("SOCKET", options->socket, "Where daemons reach it: their --hold")->required();
  command
      .add_option("--patience", options->patience,
                  "How long readers wait for the next daemon before they get an error [5m]")
      ->type_name("TIME");
  command.footer(
      "Runs in a container of its own beside that of 'modelfs mount --hold SOCKET', with a volume "
      "for the socket\nthat both see. When that container is killed, readers wait until the next "
      "one has come.");
  return [options](const CommandContext& context) { return Hold(*options, context); };
}

}  // namespace modelfs::fs
