#include <CLI/CLI.hpp>

#include "fs/cli/command.h"

namespace modelfs::fs {

CommandBody DefineVersion(CLI::App& /*command*/) {
  return [](const CommandContext& context) {
    context.io.out << "modelfs " MODELFS_VERSION << '\n' << std::flush;
    return kExitDone;
  };
}

}  // namespace modelfs::fs
