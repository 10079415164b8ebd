#include "fs/daemon/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "fetch/base/text.h"

namespace modelfs::fs {
namespace {

using Clock = std::chrono::steady_clock;

/// A descriptor that is readable when process `pid` has ended. glibc 2.36 declares its own wrapper
/// for C only.
int OpenProcess(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

int MillisecondsUntil(Clock::time_point when) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

bool PollUntil(int fd, Clock::time_point when) {
  for (;;) {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    const int n = ::poll(&wait, 1, MillisecondsUntil(when));
    if (n > 0) return true;
    if (n == 0) return false;
    if (errno != EINTR) return false;
  }
}

/// The child's exit code, or 128 + signal. Nullopt when it has not ended by `when`: it is killed
/// then, and reaped if the kernel lets it go at once.
std::optional<int> Reap(pid_t child, Clock::time_point when) {
  const Fd handle(OpenProcess(child));
  const bool ended = handle && PollUntil(handle.get(), when);
  if (!ended) {
    ::kill(child, SIGKILL);
    if (handle) PollUntil(handle.get(), Clock::now() + std::chrono::milliseconds(200));
  }
  int status = 0;
  if (::waitpid(child, &status, WNOHANG) != child || !ended) return std::nullopt;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void Drain(int fd, std::string& out) {
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    out.append(buffer.data(), static_cast<std::size_t>(n));
    if (out.size() > 4096) out.erase(0, out.size() - 4096);
  }
}

}  // namespace

void ResetSignals() {
  sigset_t none;
  sigemptyset(&none);
  for (const int signal : {SIGPIPE, SIGCHLD, SIGHUP, SIGINT, SIGTERM}) {
    ::signal(signal, SIG_DFL);
  }
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Result<ProgramResult> RunProgram(const std::vector<std::string>& argv, int inherited,
                                 const std::string& variable, std::chrono::milliseconds deadline) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return FailErrno(errno, "pipe");
  const Fd from_child(ends[0]);
  Fd to_parent(ends[1]);
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  std::string environment = variable;

  const pid_t child = ::fork();
  if (child < 0) return FailErrno(errno, fmt::format("fork for {}", argv.front()));
  if (child == 0) {
    ResetSignals();
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) ::_exit(127);
    ::dup2(null, STDIN_FILENO);
    ::dup2(null, STDOUT_FILENO);
    ::dup2(to_parent.get(), STDERR_FILENO);
    if (inherited >= 0) ::fcntl(inherited, F_SETFD, 0);
    static char c_locale[] = "LC_ALL=C";
    ::putenv(c_locale);
    if (!environment.empty()) ::putenv(environment.data());
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  to_parent.Reset();
  ::fcntl(from_child.get(), F_SETFL, O_NONBLOCK);

  const auto end = Clock::now() + deadline;
  const Fd handle(OpenProcess(child));
  ProgramResult result;
  // A program that writes more than a pipe holds must not wait for us.
  for (bool ended = false; handle && !ended && Clock::now() < end;) {
    std::array<pollfd, 2> wait{pollfd{handle.get(), POLLIN, 0},
                               pollfd{from_child.get(), POLLIN, 0}};
    if (::poll(wait.data(), wait.size(), MillisecondsUntil(end)) < 0 && errno != EINTR) break;
    Drain(from_child.get(), result.output);
    ended = wait[0].revents != 0;
    if (!ended && (wait[1].revents & POLLHUP) != 0) ended = PollUntil(handle.get(), end);
  }
  const auto exit_code = Reap(child, end);
  Drain(from_child.get(), result.output);
  if (!exit_code) {
    return Fail(Errc::kTimeout, fmt::format("{} did not end within {} ms and was killed",
                                            argv.front(), deadline.count()));
  }
  result.exit_code = *exit_code;
  result.output = std::string(Trim(result.output));
  return result;
}

Result<int> CallInChild(const std::function<int()>& body, std::string_view operation,
                        std::chrono::milliseconds deadline) {
  const pid_t child = ::fork();
  if (child < 0) return FailErrno(errno, fmt::format("fork for {}", operation));
  if (child == 0) {
    ResetSignals();
    ::_exit(body());
  }
  const auto exit_code = Reap(child, Clock::now() + deadline);
  if (!exit_code) {
    return Fail(Errc::kTimeout,
                fmt::format("{}: no answer within {} ms", operation, deadline.count()));
  }
  if (*exit_code > 128) {
    return Fail(Errc::kIo, fmt::format("{}: killed by signal {}", operation, *exit_code - 128));
  }
  return *exit_code;
}

bool WaitForExit(pid_t pid, std::chrono::milliseconds deadline) {
  const Fd handle(OpenProcess(pid));
  if (!handle) return errno == ESRCH;
  return PollUntil(handle.get(), Clock::now() + deadline);
}

}  // namespace modelfs::fs
