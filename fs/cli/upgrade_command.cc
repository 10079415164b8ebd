#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

#include "fs/cli/command.h"
#include "fs/cli/daemon_paths.h"
#include "fs/control/control_client.h"
#include "fs/control/daemon_finder.h"

namespace modelfs::fs {
namespace {

using Clock = std::chrono::steady_clock;

/// How long the new worker may take to answer, once the old one makes room for it.
constexpr std::chrono::seconds kServeLimit{30};
/// How long a mount that is just being made may stand in the way.
constexpr std::chrono::seconds kBusyLimit{10};
constexpr std::chrono::milliseconds kRetry{20};

std::uint64_t WorkerPid(const nlohmann::json& status) {
  return status.value("pid", std::uint64_t{0});
}

/// Waits until another worker than `old` answers for as many mounts.
Result<nlohmann::json> AwaitSuccessor(ControlClient& client, const nlohmann::json& old) {
  const auto until = Clock::now() + kServeLimit;
  for (;;) {
    auto status = client.Status();
    if (status && WorkerPid(*status) != WorkerPid(old) &&
        (*status)["mounts"].size() >= old["mounts"].size()) {
      return status;
    }
    if (Clock::now() >= until) {
      return Fail(Errc::kTimeout,
                  fmt::format("the new worker did not answer within {} s; the daemon's log ({}) "
                              "says why",
                              kServeLimit.count(), old.value("log", "stderr")));
    }
    std::this_thread::sleep_for(kRetry);
  }
}

/// Errors: what the daemon said. A worker that makes room may be gone before its answer is out.
Result<void> Ask(ControlClient& client, const std::string& program) {
  const auto until = Clock::now() + kBusyLimit;
  for (;;) {
    auto asked = client.Upgrade(program);
    if (asked || asked.error().code == Errc::kCancelled) return {};
    if (asked.error().code != Errc::kTransient || Clock::now() >= until) return asked;
    std::this_thread::sleep_for(kRetry);
  }
}

int Upgrade(const std::string& mountpoint, const CommandContext& context) {
  const std::string path = AbsolutePath(mountpoint);
  auto served = FindServing(AwaitDaemons(context.env, {path}), path);
  if (!served) return context.Complain(kExitFailed, served.error().what);
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return context.Complain(kExitFailed, "read /proc/self/exe: " + error.message());
  ControlClient client(served->daemon.socket_path);
  if (auto asked = Ask(client, program); !asked) {
    return context.Complain(kExitFailed, asked.error().what);
  }
  const nlohmann::json& old = served->daemon.status;
  auto status = AwaitSuccessor(client, old);
  if (!status) return context.Complain(kExitFailed, status.error().what);
  context.io.out << fmt::format("{}: modelfs {} serves what {} did, {} mount{}\n", mountpoint,
                                status->value("version", "?"), old.value("version", "?"),
                                old["mounts"].size(), old["mounts"].size() == 1 ? "" : "s")
                 << std::flush;
  return kExitDone;
}

}  // namespace

CommandBody DefineUpgrade(CLI::App& command) {
  auto mountpoint = std::make_shared<std::string>();
  command.add_option("MOUNTPOINT", *mountpoint, "Any mount of the daemon")->required();
  command.footer(
      "The daemon becomes the program that you run this command with, in place: same process, same "
      "mounts.\nWho reads waits for a moment and sees no error. Running jobs (warm, verify) end.");
  return [mountpoint](const CommandContext& context) { return Upgrade(*mountpoint, context); };
}

}  // namespace modelfs::fs
