#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "fetch/base/size.h"
#include "fs/cli/command.h"
#include "fs/cli/daemon_paths.h"
#include "fs/cli/job_follower.h"
#include "fs/cli/json_field.h"

// pin, unpin and evict: what is kept, and what is not.

namespace modelfs::fs {
namespace {

using nlohmann::json;

/// What a job did, in a line; `report` is in fs/control/README.md, "Jobs".
std::string Describe(JobKind kind, const json& report) {
  const std::uint64_t objects = NumberField(report, "objects");
  const std::string bytes = FormatSize(NumberField(report, "bytes"));
  switch (kind) {
    case JobKind::kPin: return fmt::format("{} files pinned, {} of them cached", objects, bytes);
    case JobKind::kUnpin: return fmt::format("{} files not pinned any more", objects);
    default: break;
  }
  std::string text = fmt::format("{} files evicted, {} given back", objects, bytes);
  if (const auto n = NumberField(report, "pinned"); n > 0) {
    text += fmt::format("; {} left alone because they are pinned", n);
  }
  if (const auto n = NumberField(report, "in_use"); n > 0) {
    text += fmt::format("; {} left alone because they are in use", n);
  }
  return text;
}

int RunOn(JobKind kind, const DaemonPaths& target, const CommandContext& context) {
  ControlClient client(target.socket_path);
  auto id = client.StartJob(kind, target.paths);
  if (!id) return context.Complain(kExitFailed, id.error().what);
  auto job = FollowJob(client, *id, context);
  if (!job) return context.Complain(kExitFailed, job.error().what);
  if (TextField(*job, "state") != "done") {
    return context.Complain(kExitFailed, TextField(*job, "error"));
  }
  context.io.out << fmt::format("{}: {}", context.name, Describe(kind, ChildField(*job, "report")))
                 << '\n'
                 << std::flush;
  return kExitDone;
}

CommandBody Define(JobKind kind, CLI::App& command, const char* footer) {
  auto paths = std::make_shared<std::vector<std::string>>();
  command.add_option("PATH", *paths, "Files and directories below mounts")->required();
  command.footer(footer);
  return [kind, paths](const CommandContext& context) {
    auto groups = GroupByDaemon(*paths, context);
    if (!groups) return context.Complain(kExitFailed, groups.error().what);
    int exit_code = kExitDone;
    for (const auto& group : *groups) exit_code = std::max(exit_code, RunOn(kind, group, context));
    return exit_code;
  };
}

}  // namespace

CommandBody DefinePin(CLI::App& command) {
  return Define(JobKind::kPin, command,
                "Holds for the files that are there now, with what of them is cached now or later, "
                "and over restarts.\nDownloads nothing: that is modelfs warm PATH.");
}

CommandBody DefineUnpin(CLI::App& command) {
  return Define(JobKind::kUnpin, command, "Removes nothing: that is modelfs evict PATH.");
}

CommandBody DefineEvict(CLI::App& command) {
  return Define(JobKind::kEvict, command,
                "Files that are open or pinned are left alone, and the command says so.");
}

}  // namespace modelfs::fs
