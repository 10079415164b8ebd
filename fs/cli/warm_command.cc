#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "fs/cli/command.h"
#include "fs/cli/daemon_paths.h"
#include "fs/cli/job_follower.h"
#include "fs/cli/json_field.h"
#include "fs/cli/warm.h"

namespace modelfs::fs {

int WarmPaths(const DaemonPaths& target, const CommandContext& context) {
  ControlClient client(target.socket_path);
  auto id = client.StartJob(JobKind::kWarm, target.paths);
  if (!id) return context.Complain(kExitFailed, id.error().what);
  auto job = FollowJob(client, *id, context);
  if (!job) return context.Complain(kExitFailed, job.error().what);
  if (TextField(*job, "state") == "done") return kExitDone;
  return context.Complain(kExitFailed, TextField(*job, "error"));
}

CommandBody DefineWarm(CLI::App& command) {
  auto paths = std::make_shared<std::vector<std::string>>();
  command.add_option("PATH", *paths, "Files and directories below mounts")->required();
  command.footer(
      "Ends with 0 only when every byte is in the cache. Interrupted, it leaves the "
      "download to the daemon.");
  return [paths](const CommandContext& context) {
    auto groups = GroupByDaemon(*paths, context);
    if (!groups) return context.Complain(kExitFailed, groups.error().what);
    int exit_code = kExitDone;
    for (const auto& group : *groups) exit_code = std::max(exit_code, WarmPaths(group, context));
    return exit_code;
  };
}

}  // namespace modelfs::fs
