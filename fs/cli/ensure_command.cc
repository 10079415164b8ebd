#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>

#include "fs/cli/command.h"
#include "fs/cli/daemon_paths.h"
#include "fs/cli/ensure_copy.h"
#include "fs/cli/ensure_model.h"
#include "fs/cli/source_options.h"
#include "fs/cli/warm.h"
#include "fs/config.h"
#include "fs/daemon/launcher.h"
#include "fs/daemon/mount_point.h"

namespace modelfs::fs {
namespace {

/// Two that start at once: the second finds the mount of the first within this.
constexpr std::chrono::seconds kJoinLimit{30};
constexpr std::chrono::milliseconds kJoinRetry{100};

struct EnsureOptions {
  std::shared_ptr<SourceOptions> sources;
  bool wait = false;
  bool copy = false;
};

/// The mount of ours at `path`, as the kernel names it; nullopt: there is none that answers.
Result<std::optional<std::string>> OurMountAt(const std::string& path) {
  const auto table = MountTable::Read();
  if (!table) return std::unexpected(table.error());
  auto resolved = ResolveMountPoint(path, *table);
  if (!resolved) return std::unexpected(resolved.error());
  const auto mounted = table->Find(*resolved);
  if (!mounted || mounted->fs_type != kFsType) return std::nullopt;
  if (ProbeMount(*resolved) != MountHealth::kAnswers) return std::nullopt;
  return *resolved;
}

Result<Config> Configure(const EnsureOptions& options, const CommandContext& context) {
  auto flags = options.sources->Flags();
  if (!flags) return std::unexpected(flags.error());
  return LoadConfig(*flags, options.sources->config_file(), context.env);
}

Result<std::string> MountAt(const std::string& path, const EnsureOptions& options,
                            const CommandContext& context) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error && !std::filesystem::is_directory(path)) {
    return FailErrno(error.value(), "make LOCAL_MODEL_PATH " + path);
  }
  const auto until = std::chrono::steady_clock::now() + kJoinLimit;
  for (;;) {
    auto mounted = OurMountAt(path);
    if (!mounted) return std::unexpected(std::move(mounted.error()));
    if (auto& ours = *mounted) return *std::move(ours);
    auto config = Configure(options, context);
    if (!config) return std::unexpected(std::move(config.error()));
    config->mount.mountpoint = path;
    const auto launched = LaunchMount(config->daemon, config->mount, LaunchMode::kBackground);
    auto again = OurMountAt(path);
    if (again) {
      if (auto& ours = *again) return *std::move(ours);
    }
    if (launched || std::chrono::steady_clock::now() >= until ||
        launched.error().what.find("already mounted") == std::string::npos) {
      if (launched) return Fail(Errc::kIo, fmt::format("the mount at {} is gone again", path));
      std::string advice;
      if (launched.error().what.find("not empty") != std::string::npos) {
        advice = "; LOCAL_MODEL_PATH holds other files: move them away, or give another path";
      }
      return Fail(launched.error().code, launched.error().what + advice);
    }
    std::this_thread::sleep_for(kJoinRetry);
  }
}

int Ensure(const EnsureOptions& options, const CommandContext& context) {
  auto wanted = ReadWantedModel(context.env);
  if (!wanted) return context.Complain(kExitFailed, wanted.error().what);
  // What goes to stdout is the path alone: a script takes it from there.
  Io io{.out = context.io.err, .err = context.io.err, .columns = context.io.columns};
  const CommandContext aside{.name = context.name, .env = context.env, .io = io};
  if (options.copy) {
    const auto copied = CopyModel(*wanted, *options.sources, aside);
    if (!copied) return context.Complain(kExitFailed, copied.error().what);
    context.io.out << *copied << '\n' << std::flush;
    return kExitDone;
  }
  auto mountpoint = MountAt(wanted->local_path, options, context);
  if (!mountpoint) return context.Complain(kExitFailed, mountpoint.error().what);
  auto path = FindModel(wanted->local_path, *wanted);
  if (!path) return context.Complain(kExitFailed, path.error().what);
  if (options.wait) {
    auto groups = GroupByDaemon({*path}, context);
    if (!groups) return context.Complain(kExitFailed, groups.error().what);
    for (const auto& group : *groups) {
      if (const int code = WarmPaths(group, aside); code != kExitDone) return code;
    }
  }
  context.io.out << *path << '\n' << std::flush;
  return kExitDone;
}

}  // namespace

CommandBody DefineEnsure(CLI::App& command) {
  auto options = std::make_shared<EnsureOptions>();
  CLI::Option* const wait = command.add_flag("--wait", options->wait,
                                             "Return only when all of the model is in the cache");
  command
      .add_flag("--copy", options->copy,
                "Download the model into that path instead of mounting: no FUSE, no daemon; the "
                "path appears only when it is whole")
      ->excludes(wait);
  options->sources = SourceOptions::Define(command);
  command.footer(
      "Reads LOCAL_MODEL_PATH, MLFLOW_MODEL_NAME, MLFLOW_MODEL_VERSION (a number, latest or "
      "@ALIAS),\nMLFLOW_TRACKING_URI and MLflow's login variables; mounts the registry at "
      "LOCAL_MODEL_PATH if it is not\nmounted there, and prints the path of the model, which has "
      "the version's number in it. The mount stays.");
  return [options](const CommandContext& context) { return Ensure(*options, context); };
}

}  // namespace modelfs::fs
