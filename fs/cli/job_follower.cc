#include "fs/cli/job_follower.h"

#include <chrono>
#include <thread>

#include "fs/cli/json_field.h"
#include "fs/cli/progress.h"
#include "fs/cli/progress_display.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kMaxSilences = 3;

}  // namespace

Result<json> FollowJob(ControlClient& client, std::uint64_t id, const CommandContext& context) {
  ProgressDisplay display(context);
  Progress progress;
  for (int silences = 0; true;) {
    auto job = client.Job(id);
    if (!job && job.error().code == Errc::kTimeout && ++silences < kMaxSilences) continue;
    if (!job && job.error().code == Errc::kNotFound) {
      return Fail(Errc::kIo, "the daemon ended before the job did; " + job.error().what);
    }
    if (!job) return job;
    silences = 0;
    const auto now = Clock::now();
    const bool last = TextField(*job, "state") != "running";
    progress.Update(now, {.bytes_done = NumberField(*job, "bytes_done"),
                          .bytes_total = NumberField(*job, "bytes_total"),
                          .files_done = NumberField(*job, "files_done"),
                          .files_total = NumberField(*job, "files_total")});
    display.Show(progress, now, last);
    if (last) return job;
    std::this_thread::sleep_for(context.io.poll_interval);
  }
}

}  // namespace modelfs::fs
