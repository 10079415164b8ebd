#include "fs/daemon/launcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "fs/control/control_client.h"
#include "fs/daemon/joined_mount.h"
#include "fs/daemon/log.h"
#include "fs/daemon/mount_point.h"
#include "fs/daemon/owner_lock.h"
#include "fs/daemon/runtime_files.h"
#include "fs/daemon/supervisor.h"

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

Result<void> RecordOwner(OwnerLock& lock, const DaemonSpec& daemon) {
  return lock.Record(
      {.pid = ::getpid(), .host = HostName(), .control_socket = daemon.control_socket});
}

void CloseAllBut(std::array<int, 2> kept) {
  if (kept[0] > kept[1]) std::swap(kept[0], kept[1]);
  unsigned next = STDERR_FILENO + 1;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (number > next) ::close_range(next, number - 1, 0);
    next = number + 1;
  }
  ::close_range(next, ~0u, 0);
}

/// The child's life after fork: away from the terminal and from everything that was open.
[[noreturn]] void RunInBackground(const DaemonSpec& daemon, const MountSpec& mount, OwnerLock lock,
                                  Fd answer_pipe, Fd log) {
  ::setsid();
  ::umask(077);
  if (::chdir("/") != 0) ::_exit(1);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) ::_exit(1);
  ::dup2(null, STDIN_FILENO);
  ::dup2(log.get(), STDOUT_FILENO);
  ::dup2(log.Release(), STDERR_FILENO);
  CloseAllBut({answer_pipe.get(), lock.fd()});
  SetUpLog("supervisor", daemon.log_level);
  if (auto recorded = RecordOwner(lock, daemon); !recorded) {
    Answer(std::move(answer_pipe), std::move(recorded));
    ::_exit(1);
  }
  const int starter = answer_pipe.get();
  Supervisor supervisor(
      {.daemon = daemon,
       .first = mount,
       .lock = std::move(lock),
       .on_first_mount =
           [&](Result<void> result) { Answer(std::move(answer_pipe), std::move(result)); },
       .starter = starter});
  ::_exit(supervisor.Run());
}

Result<void> StartInBackground(const DaemonSpec& daemon, const MountSpec& mount, OwnerLock lock) {
  auto log = OpenLog(daemon.control_socket);
  if (!log) return std::unexpected(log.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  const Fd answer(ends[0]);
  Fd answer_pipe(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return FailErrno(errno, "fork the daemon");
  if (child == 0) {
    RunInBackground(daemon, mount, std::move(lock), std::move(answer_pipe), *std::move(log));
  }
  answer_pipe.Reset();
  return AwaitAnswer(answer, LogPath(daemon.control_socket));
}

Result<void> RunInForeground(const DaemonSpec& daemon, const MountSpec& mount, OwnerLock lock) {
  SetUpLog("supervisor", daemon.log_level);
  if (auto recorded = RecordOwner(lock, daemon); !recorded) return recorded;
  Result<void> first;
  Supervisor supervisor(
      {.daemon = daemon,
       .first = mount,
       .lock = std::move(lock),
       .on_first_mount = [&](Result<void> result) { first = std::move(result); }});
  const int exit_code = supervisor.Run();
  if (!first) return first;
  if (exit_code == 0) return {};
  return Fail(Errc::kIo, fmt::format("the daemon of {} did not end in good order; its log says why",
                                     daemon.cache_directory));
}

/// Asks the owner of the cache directory. Nullopt: nobody answered; it may be starting or ending.
std::optional<Result<void>> AskOwner(const DaemonSpec& daemon, const MountSpec& mount) {
  const auto owner = OwnerLock::ReadOwner(daemon.cache_directory);
  if (owner && !owner->host.empty() && owner->host != HostName()) {
    return Fail(Errc::kInvalid,
                fmt::format("cache directory {} is in use by process {} on host {}: give each host "
                            "its own with --cache",
                            daemon.cache_directory, owner->pid, owner->host));
  }
  const bool recorded = owner && !owner->control_socket.empty();
  ControlClient client(recorded ? owner->control_socket : daemon.control_socket);
  if (!client.Status()) return std::nullopt;
  auto added = client.AddMount(mount);
  // Whatever it said, a daemon that is ending or gone is not the one that refused.
  if (!added && (added.error().code == Errc::kCancelled || !client.Status())) return std::nullopt;
  return added;
}

}  // namespace

Result<void> LaunchMount(const DaemonSpec& daemon, const MountSpec& wanted, LaunchMode mode) {
  MountSpec mount = wanted;
  if (auto utf8 = CheckText("mount point", mount.mountpoint); !utf8) return utf8;
  if (auto utf8 = CheckText("cache directory", daemon.cache_directory); !utf8) return utf8;
  const auto table = MountTable::Read();
  if (!table) return std::unexpected(table.error());
  auto resolved = ResolveMountPoint(mount.mountpoint, *table);
  if (!resolved) return std::unexpected(resolved.error());
  mount.mountpoint = *std::move(resolved);
  if (auto free = CheckMountPoint(mount.mountpoint, *table); !free) return free;
  if (auto made = PrepareCacheDirectory(daemon.cache_directory); !made) return made;

  const auto until = Clock::now() + kJoinLimit;
  for (;;) {
    auto acquired = OwnerLock::TryAcquire(daemon.cache_directory);
    if (!acquired) return std::unexpected(acquired.error());
    if (std::optional<OwnerLock> lock = *std::move(acquired)) {
      mount.config.leads = true;
      return mode == LaunchMode::kBackground ? StartInBackground(daemon, mount, *std::move(lock))
                                             : RunInForeground(daemon, mount, *std::move(lock));
    }
    if (mode == LaunchMode::kForeground) HoldTermination();
    if (auto answer = AskOwner(daemon, mount)) {
      if (!*answer || mode == LaunchMode::kBackground) return *std::move(answer);
      return StayWhileMounted(mount.mountpoint);
    }
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
