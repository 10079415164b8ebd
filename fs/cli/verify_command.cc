#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "fetch/base/size.h"
#include "fs/cli/command.h"
#include "fs/cli/daemon_paths.h"
#include "fs/cli/job_follower.h"
#include "fs/cli/json_field.h"
#include "fs/cli/warm.h"
#include "fs/config/default_paths.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;

struct VerifyOptions {
  std::vector<std::string> paths;
  bool repair = false;
};

std::string Damage(const json& report, std::uint64_t bad) {
  std::string text = fmt::format("{} damaged", bad);
  if (const auto n = NumberField(report, "repaired_chunks"); n > 0) {
    text += fmt::format(", {} repaired", n);
  }
  return text;
}

/// Says what was found; the number of damaged chunks.
std::uint64_t Report(const json& report, const DaemonPaths& target, const CommandContext& context) {
  const std::uint64_t bad = NumberField(report, "bad_chunks");
  for (const auto& line : ChildField(report, "bad")) {
    if (!line.is_string()) continue;
    context.io.out << "damaged: " << Printable(line.get<std::string>()) << '\n' << std::flush;
  }
  context.io.out << fmt::format("{}: {}: {} objects, {} chunks, {} checked: {}", context.name,
                                target.cache_directory, NumberField(report, "objects"),
                                NumberField(report, "chunks"),
                                FormatSize(NumberField(report, "bytes")),
                                bad == 0 ? "all good" : Damage(report, bad))
                 << '\n'
                 << std::flush;
  return bad;
}

int VerifyOne(const DaemonPaths& target, const VerifyOptions& options,
              const CommandContext& context) {
  ControlClient client(target.socket_path);
  auto id = client.StartJob(options.repair ? JobKind::kRepair : JobKind::kVerify, target.paths);
  if (!id) return context.Complain(kExitFailed, id.error().what);
  auto job = FollowJob(client, *id, context);
  if (!job) return context.Complain(kExitFailed, job.error().what);
  if (TextField(*job, "state") != "done") {
    return context.Complain(kExitFailed, TextField(*job, "error"));
  }
  if (Report(ChildField(*job, "report"), target, context) == 0) return kExitDone;
  // What the repair could not get, and what was not there before.
  if (options.repair) return WarmPaths(target, context);
  return context.Complain(kExitFailed,
                          "damaged chunks were set aside; they are downloaded again when they are "
                          "read, or now by modelfs warm PATH");
}

int Verify(const VerifyOptions& options, const CommandContext& context) {
  std::vector<DaemonPaths> targets;
  if (!options.paths.empty()) {
    auto groups = GroupByDaemon(options.paths, context);
    if (!groups) return context.Complain(kExitFailed, groups.error().what);
    targets = *std::move(groups);
  } else if (options.repair) {
    return context.Complain(kExitUsage,
                            "--repair downloads all of its paths, so it needs some: PATH...");
  } else {
    for (auto& daemon : AwaitDaemons(context.env, {})) {
      targets.push_back({daemon.socket_path, CacheDirectory(daemon), {}});
    }
    if (targets.empty()) return context.Complain(kExitFailed, "no modelfs daemon of yours runs");
  }
  int exit_code = kExitDone;
  for (const auto& target : targets) {
    exit_code = std::max(exit_code, VerifyOne(target, options, context));
  }
  return exit_code;
}

}  // namespace

CommandBody DefineVerify(CLI::App& command) {
  auto options = std::make_shared<VerifyOptions>();
  command.add_option("PATH", options->paths, "Below mounts; default: everything that is cached");
  command.add_flag("--repair", options->repair,
                   "Download what is damaged, and what is missing, of PATH again");
  command.footer("Damaged chunks are set aside either way: no reader ever gets them.");
  return [options](const CommandContext& context) { return Verify(*options, context); };
}

}  // namespace modelfs::fs
