#include "fs/daemon/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "fs/control/control_client.h"
#include "fs/daemon/adoption.h"
#include "fs/daemon/holder_link.h"
#include "fs/daemon/joined_mount.h"
#include "fs/daemon/log.h"
#include "fs/daemon/mount_point.h"
#include "fs/daemon/owner_lock.h"
#include "fs/daemon/runtime_files.h"
#include "fs/daemon/supervisor.h"
#include "fs/daemon/supervisor_state.h"

namespace modelfs::fs {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a daemon may take until its first mount answers. Sources are given 8 s; rebuilding a
/// lost index takes the rest.
constexpr std::chrono::seconds kStartLimit{120};
/// How long the owner of the cache may be silent because it is starting or ending.
constexpr std::chrono::seconds kJoinLimit{20};
constexpr std::chrono::milliseconds kJoinRetry{50};

/// Specs travel as JSON, which holds UTF-8 only.
Result<void> CheckText(const std::string& what, const std::string& path) {
  const std::string text =
      nlohmann::json(path).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (nlohmann::json::parse(text, nullptr, false) == nlohmann::json(path)) return {};
  return Fail(Errc::kInvalid, fmt::format("{} '{}' is not valid UTF-8", what, path));
}

/// What the daemon in the background says by Answer.
Result<void> AwaitAnswer(const Fd& pipe, const std::string& log_path) {
  const auto until = Clock::now() + kStartLimit;
  std::string text;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd wait{.fd = pipe.get(), .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(0, left)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return Fail(Errc::kTimeout, fmt::format("the mount did not answer within {} s; see {}",
                                              kStartLimit.count(), log_path));
    }
    std::array<char, 4096> buffer;
    const ssize_t n = ::read(pipe.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  auto message = DecodeBrokerMessage(text, Fd());
  if (!message) {
    return Fail(Errc::kIo,
                fmt::format("the daemon ended before the mount answered; see {}", log_path));
  }
  if (auto* failed = std::get_if<FailedMessage>(&*message)) {
    return std::unexpected(std::move(failed->error));
  }
  return {};
}

void Answer(Fd pipe, Result<void> result) {
  const BrokerMessage message =
      result ? BrokerMessage(ReadyMessage{})
             : BrokerMessage(FailedMessage{.request = 0, .error = std::move(result.error())});
  const std::string text = EncodeBrokerMessage(message);
  if (::write(pipe.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    spdlog::warn("supervisor.starter_gone");
  }
}

Result<void> RecordOwner(SupervisorState& state) {
  return state.lock.Record(
      {.pid = ::getpid(), .host = HostName(), .control_socket = state.daemon.control_socket});
}

/// Everything that a new supervisor starts with.
struct Start {
  std::optional<MountSpec> first;
  SupervisorState state;
  std::optional<HolderLink> holder;
};

Supervisor::Options ToOptions(Start start) {
  return {.daemon = std::move(start.state.daemon),
          .first = std::move(start.first),
          .lock = std::move(start.state.lock),
          .kept = std::move(start.state.mounts),
          .worker = std::move(start.state.worker),
          .next_session = start.state.next_session,
          .next_request = start.state.next_request,
          .upgrade_request = start.state.upgrade_request,
          .holder = std::move(start.holder)};
}

std::vector<int> DescriptorsOf(const Start& start) {
  std::vector<int> fds = DescriptorsOf(start.state);
  if (start.holder) fds.push_back(start.holder->fd());
  return fds;
}

void CloseAllBut(std::vector<int> kept) {
  std::ranges::sort(kept);
  unsigned next = STDERR_FILENO + 1;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number > next) ::close_range(next, number - 1, 0);
    next = number + 1;
  }
  ::close_range(next, ~0u, 0);
}

/// The child's life after fork: away from the terminal and from everything that was open.
[[noreturn]] void RunInBackground(Start start, Fd answer_pipe, Fd log) {
  ::setsid();
  ::umask(077);
  if (::chdir("/") != 0) ::_exit(1);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) ::_exit(1);
  ::dup2(null, STDIN_FILENO);
  ::dup2(log.get(), STDOUT_FILENO);
  ::dup2(log.Release(), STDERR_FILENO);
  std::vector<int> kept = DescriptorsOf(start);
  kept.push_back(answer_pipe.get());
  CloseAllBut(std::move(kept));
  SetUpLog("supervisor", start.state.daemon.log_level);
  if (auto recorded = RecordOwner(start.state); !recorded) {
    Answer(std::move(answer_pipe), std::move(recorded));
    ::_exit(1);
  }
  const int starter = answer_pipe.get();
  Supervisor::Options options = ToOptions(std::move(start));
  options.on_first_mount = [&](Result<void> result) {
    Answer(std::move(answer_pipe), std::move(result));
  };
  options.starter = starter;
  Supervisor supervisor(std::move(options));
  ::_exit(supervisor.Run());
}

Result<void> StartInBackground(Start start) {
  const std::string control_socket = start.state.daemon.control_socket;
  auto log = OpenLog(control_socket);
  if (!log) return std::unexpected(log.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  const Fd answer(ends[0]);
  Fd answer_pipe(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return FailErrno(errno, "fork the daemon");
  if (child == 0) {
    RunInBackground(std::move(start), std::move(answer_pipe), *std::move(log));
  }
  answer_pipe.Reset();
  return AwaitAnswer(answer, LogPath(control_socket));
}

Result<void> RunInForeground(Start start) {
  const std::string cache_directory = start.state.daemon.cache_directory;
  SetUpLog("supervisor", start.state.daemon.log_level);
  if (auto recorded = RecordOwner(start.state); !recorded) return recorded;
  Result<void> first;
  Supervisor::Options options = ToOptions(std::move(start));
  options.on_first_mount = [&](Result<void> result) { first = std::move(result); };
  Supervisor supervisor(std::move(options));
  const int exit_code = supervisor.Run();
  if (!first) return first;
  if (exit_code == 0) return {};
  return Fail(Errc::kIo, fmt::format("the daemon of {} did not end in good order; its log says why",
                                     cache_directory));
}

Result<void> Launch(Start start, LaunchMode mode) {
  return mode == LaunchMode::kBackground ? StartInBackground(std::move(start))
                                         : RunInForeground(std::move(start));
}

bool Serves(const KeptMounts& mounts, const std::string& mountpoint) {
  return std::ranges::any_of(mounts, [&](const auto& entry) {
    return entry.second.spec.mountpoint == mountpoint && !entry.second.detached;
  });
}

/// Becomes the daemon of a cache directory that is free: with the mounts that a holder has of the
/// last one, or from nothing.
Result<void> StartDaemon(const DaemonSpec& daemon, const MountSpec& mount, OwnerLock lock,
                         LaunchMode mode) {
  Start start{.first = mount,
              .state = {.daemon = daemon, .lock = std::move(lock), .worker = {}, .mounts = {}},
              .holder = {}};
  if (!daemon.hold.empty()) {
    // One that is missing is looked for again by the supervisor.
    if (auto met = HolderLink::Connect(daemon.hold, daemon.cache_directory)) {
      start.holder.emplace(std::move(met->link));
      start.state.mounts = std::move(met->kept);
    }
  }
  if (!start.state.mounts.empty()) {
    start.state.next_session = start.state.mounts.rbegin()->first + 1;
  }
  if (Serves(start.state.mounts, mount.mountpoint)) {
    start.first.reset();
  } else if (auto free = CheckMountPoint(mount.mountpoint); !free) {
    return free;
  }
  return Launch(std::move(start), mode);
}

/// Becomes the supervisor of a worker that has lost its own. Nullopt: it has ended meanwhile, or
/// somebody else was faster.
std::optional<Result<void>> AdoptDaemon(const std::string& control_socket, const MountSpec& mount,
                                        LaunchMode mode) {
  auto adopted = AdoptWorker(control_socket);
  if (!adopted) return std::nullopt;
  Start start{.first = mount, .state = *std::move(adopted), .holder = {}};
  if (Serves(start.state.mounts, mount.mountpoint)) {
    start.first.reset();
  } else if (auto free = CheckMountPoint(mount.mountpoint); !free) {
    return free;
  }
  return Launch(std::move(start), mode);
}

/// Asks the owner of the cache directory. Nullopt: nobody answered; it may be starting or ending.
std::optional<Result<void>> AskOwner(const DaemonSpec& daemon, const MountSpec& mount,
                                     LaunchMode mode) {
  const auto owner = OwnerLock::ReadOwner(daemon.cache_directory);
  if (owner && !owner->host.empty() && owner->host != HostName()) {
    return Fail(Errc::kInvalid,
                fmt::format("cache directory {} is in use by process {} on host {}: give each host "
                            "its own with --cache",
                            daemon.cache_directory, owner->pid, owner->host));
  }
  const bool recorded = owner && !owner->control_socket.empty();
  ControlClient client(recorded ? owner->control_socket : daemon.control_socket);
  const auto status = client.Status();
  if (!status) return std::nullopt;
  if (status->value("supervisor_pid", 1) == 0) {
    return AdoptDaemon(client.socket_path(), mount, mode);
  }
  if (auto free = CheckMountPoint(mount.mountpoint); !free) return free;
  auto added = client.AddMount(mount);
  // Whatever it said, a daemon that is ending or gone is not the one that refused.
  if (!added && (added.error().code == Errc::kCancelled || !client.Status())) return std::nullopt;
  if (!added || mode == LaunchMode::kBackground) return added;
  return StayWhileMounted(mount.mountpoint);
}

}  // namespace

int ContinueSupervisor(int state_fd) {
  SetUpLog("supervisor", "info");
  auto state = LoadState(Fd(state_fd));
  if (!state) {
    spdlog::error("supervisor.not_continued error=\"{}\"", state.error().what);
    return 1;
  }
  SetUpLog("supervisor", state->daemon.log_level);
  Supervisor supervisor(ToOptions({.first = {}, .state = *std::move(state), .holder = {}}));
  return supervisor.Run();
}

Result<void> LaunchMount(const DaemonSpec& daemon, const MountSpec& wanted, LaunchMode mode) {
  MountSpec mount = wanted;
  if (auto utf8 = CheckText("mount point", mount.mountpoint); !utf8) return utf8;
  if (auto utf8 = CheckText("cache directory", daemon.cache_directory); !utf8) return utf8;
  const auto table = MountTable::Read();
  if (!table) return std::unexpected(table.error());
  auto resolved = ResolveMountPoint(mount.mountpoint, *table);
  if (!resolved) return std::unexpected(resolved.error());
  mount.mountpoint = *std::move(resolved);
  // One of ours may turn out to be one that we can go on with.
  const auto there = table->Find(mount.mountpoint);
  if (!there || there->fs_type != kFsType) {
    if (auto free = CheckMountPoint(mount.mountpoint, *table); !free) return free;
  }
  if (auto made = PrepareCacheDirectory(daemon.cache_directory); !made) return made;

  const auto until = Clock::now() + kJoinLimit;
  for (;;) {
    auto acquired = OwnerLock::TryAcquire(daemon.cache_directory);
    if (!acquired) return std::unexpected(acquired.error());
    if (std::optional<OwnerLock> lock = *std::move(acquired)) {
      mount.config.leads = true;
      return StartDaemon(daemon, mount, *std::move(lock), mode);
    }
    if (mode == LaunchMode::kForeground) HoldTermination();
    if (auto answer = AskOwner(daemon, mount, mode)) return *std::move(answer);
    if (Clock::now() >= until) break;
    std::this_thread::sleep_for(kJoinRetry);
  }
  const auto owner = OwnerLock::ReadOwner(daemon.cache_directory);
  return Fail(
      Errc::kTimeout,
      fmt::format("cache directory {} is in use by process {}, which does not answer on {}: "
                  "end it, or choose another cache with --cache",
                  daemon.cache_directory, owner ? owner->pid : 0, daemon.control_socket));
}

}  // namespace modelfs::fs
