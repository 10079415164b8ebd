#include "fs/cli/job_follower.h"

#include <chrono>
#include <thread>

#include "fs/cli/json_field.h"
#include "fs/cli/progress.h"

namespace modelfs::fs {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPlainLineEvery{5};
constexpr int kMaxSilences = 3;

/// Puts progress on the screen; ends its line when it goes.
class Display {
 public:
  explicit Display(const CommandContext& context) : context_(context), io_(context.io) {}
  ~Display() {
    if (drawn_) io_.out << '\n' << std::flush;
  }
  Display(const Display&) = delete;
  Display& operator=(const Display&) = delete;

  void Show(const Progress& progress, Clock::time_point now, bool last) {
    if (last && progress.empty()) return;
    if (io_.terminal) {
      // Back to the start, draw over it, erase what a longer line left behind.
      io_.out << '\r' << progress.Bar(io_.columns) << "\x1b[K" << std::flush;
      drawn_ = true;
    } else if (last || now >= next_plain_line_) {
      io_.out << context_.name << ": " << progress.Text() << '\n' << std::flush;
      next_plain_line_ = now + kPlainLineEvery;
    }
  }

 private:
  const CommandContext& context_;
  Io& io_;
  Clock::time_point next_plain_line_ = Clock::now() + kPlainLineEvery;
  bool drawn_ = false;
};

}  // namespace

Result<json> FollowJob(ControlClient& client, std::uint64_t id, const CommandContext& context) {
  Display display(context);
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
