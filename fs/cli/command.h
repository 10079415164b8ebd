#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "fetch/base/error.h"
#include "fs/cli/cli.h"

namespace CLI {
class App;
}

namespace modelfs::fs {

/// What a command gets when it runs.
struct CommandContext {
  std::string_view name;  ///< "mount".
  const Environment& env;
  Io& io;

  /// Writes "modelfs mount: WHAT" to stderr, as one printable line, and returns `exit_code`.
  int Complain(int exit_code, std::string_view what) const;
};

/// What a command does once its line was parsed; returns the exit code.
using CommandBody = std::function<int(const CommandContext&)>;

// One definition per file. Each adds its options to `command`, whose values live in the body.
CommandBody DefineMount(CLI::App& command);
CommandBody DefineUmount(CLI::App& command);
CommandBody DefineStatus(CLI::App& command);
CommandBody DefineEnsure(CLI::App& command);
CommandBody DefineWarm(CLI::App& command);
CommandBody DefineVerify(CLI::App& command);
CommandBody DefinePin(CLI::App& command);
CommandBody DefineUnpin(CLI::App& command);
CommandBody DefineEvict(CLI::App& command);
CommandBody DefineProfile(CLI::App& command);
CommandBody DefineDoctor(CLI::App& command);
CommandBody DefineUpgrade(CLI::App& command);
CommandBody DefineHold(CLI::App& command);
CommandBody DefineVersion(CLI::App& command);
CommandBody DefineWorker(CLI::App& command);
CommandBody DefineSupervise(CLI::App& command);

/// `text` with control characters as '?': names come from servers, and this goes to a terminal.
std::string Printable(std::string text);

/// `path` against the working directory, without "." and ".." and trailing slashes. As text:
/// nothing is looked at, so that a broken mount cannot hold it up.
std::string AbsolutePath(const std::string& path);

}  // namespace modelfs::fs
