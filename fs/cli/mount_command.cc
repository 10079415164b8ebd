#include <CLI/CLI.hpp>

#include "fs/cli/command.h"
#include "fs/cli/source_options.h"
#include "fs/config.h"
#include "fs/daemon/launcher.h"

namespace modelfs::fs {
namespace {

struct MountOptions {
  std::shared_ptr<SourceOptions> sources;
  std::string mountpoint;
  bool foreground = false;
};

int Mount(const MountOptions& options, const CommandContext& context) {
  const auto failed = [&](const Error& error) {
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
  if (auto ok = LaunchMount(config->daemon, config->mount, mode); !ok) {
    return context.Complain(kExitFailed, ok.error().what);
  }
  return kExitDone;
}

}  // namespace

CommandBody DefineMount(CLI::App& command) {
  auto options = std::make_shared<MountOptions>();
  command.add_option("MOUNTPOINT", options->mountpoint, "An empty directory")->required();
  command.add_flag("--foreground", options->foreground, "Stay until unmounted; log to stderr");
  options->sources = SourceOptions::Define(command);
  command.footer(
      "Sizes are bytes or 64MiB, 200GiB; times 500ms, 60s, 5m, 2h. Credentials come from the "
      "AWS_* variables\nor ~/.aws, as in AWS's own clients. Every key of the file has a flag of "
      "the "
      "same name, and the flag wins.");
  return [options](const CommandContext& context) { return Mount(*options, context); };
}

}  // namespace modelfs::fs
