#include <CLI/CLI.hpp>
#include <chrono>

#include "fs/cli/command.h"
#include "fs/daemon/launcher.h"

namespace modelfs::fs {
namespace {

constexpr std::chrono::seconds kDeadline{30};

struct UmountOptions {
  std::string mountpoint;
  bool lazy = false;
};

}  // namespace

CommandBody DefineUmount(CLI::App& command) {
  auto options = std::make_shared<UmountOptions>();
  command.add_option("MOUNTPOINT", options->mountpoint, "Where modelfs is mounted")->required();
  command.add_flag("--lazy", options->lazy,
                   "Detach it at once, also when it is in use; the daemon ends with its last user");
  return [options](const CommandContext& context) {
    auto ok = Unmount(AbsolutePath(options->mountpoint), options->lazy, kDeadline);
    return ok ? kExitDone : context.Complain(kExitFailed, ok.error().what);
  };
}

}  // namespace modelfs::fs
