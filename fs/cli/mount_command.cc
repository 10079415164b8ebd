#include <CLI/CLI.hpp>

#include "fs/cli/command.h"
#include "fs/cli/source_options.h"
#include "fs/config.h"
#include "fs/control/wire.h"
#include "fs/daemon/launcher.h"

namespace modelfs::fs {
namespace {

struct MountOptions {
  std::shared_ptr<SourceOptions> sources;
  std::string mountpoint;
  bool foreground = false;
  bool answer = false;  ///< For programs: what came of it is written to stdout.
};

/// `{}`, or `{"error": {"code": "denied", "message": "…"}}`, as the control socket has them.
int Answer(const Result<void>& mounted, const CommandContext& context) {
  context.io.out << (mounted ? "{}"
                             : ErrorBody({mounted.error().code, Printable(mounted.error().what)}))
                 << '\n'
                 << std::flush;
  return kExitDone;
}

int Mount(const MountOptions& options, const CommandContext& context) {
  const auto failed = [&](const Error& error) {
    if (options.answer) return Answer(std::unexpected(error), context);
    return context.Complain(error.code == Errc::kInvalid ? kExitUsage : kExitFailed, error.what);
  };
  auto flags = options.sources->Flags();
  if (!flags) return failed(flags.error());
  auto config = LoadConfig(*flags, options.sources->config_file(), context.env);
  if (!config) return failed(config.error());
  for (const auto& note : config->notes) context.Complain(kExitDone, "note: " + note);
  config->mount.mountpoint = AbsolutePath(options.mountpoint);
  config->mount.config = options.sources->Remember(context.env);
  const LaunchMode mode = options.foreground ? LaunchMode::kForeground : LaunchMode::kBackground;
  const auto mounted = LaunchMount(config->daemon, config->mount, mode);
  if (options.answer) return Answer(mounted, context);
  return mounted ? kExitDone : context.Complain(kExitFailed, mounted.error().what);
}

}  // namespace

CommandBody DefineMount(CLI::App& command) {
  auto options = std::make_shared<MountOptions>();
  command.add_option("MOUNTPOINT", options->mountpoint, "An empty directory")->required();
  command.add_flag("--foreground", options->foreground, "Stay until unmounted; log to stderr");
  command.add_flag("--answer", options->answer)->group("");
  options->sources = SourceOptions::Define(command);
  command.footer(
      "Sizes are bytes or 64MiB, 200GiB; times 500ms, 60s, 5m, 2h. Credentials come from the "
      "AWS_* variables\nor ~/.aws, as in AWS's own clients. Every key of the file has a flag of "
      "the "
      "same name, and the flag wins.");
  return [options](const CommandContext& context) { return Mount(*options, context); };
}

}  // namespace modelfs::fs
