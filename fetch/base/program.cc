#include "fetch/base/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "fetch/base/handle.h"
#include "fetch/base/percent.h"

namespace modelfs {
namespace {

using Clock = std::chrono::steady_clock;

std::optional<std::string> FindInPath(const std::string& program,
                                      const std::vector<std::string>& environment) {
  if (program.contains('/')) return program;
  std::string_view path = "/usr/local/bin:/usr/bin:/bin";
  for (const std::string& variable : environment) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  while (!path.empty()) {
    const std::size_t end = std::min(path.find(':'), path.size());
    std::string candidate = fmt::format("{}/{}", path.substr(0, end), program);
    if (end > 0 && ::access(candidate.c_str(), X_OK) == 0) return candidate;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return std::nullopt;
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  // posix_spawn takes char* and changes nothing.
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

/// A process group of its own, which ends with this object.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (!reaped_) Wait();
  }
  /// Readable when it has ended. glibc 2.36 declares its own wrapper for C only.
  Fd Ended() const { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))); }
  /// Its wait status; it is killed if it still runs, and with it what it left running. Before it is
  /// reaped, while its id cannot be somebody else's.
  int Wait() {
    ::kill(-pid_, SIGKILL);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    reaped_ = true;
    return status;
  }

 private:
  const pid_t pid_;
  bool reaped_ = false;
};

Result<pid_t> Spawn(const std::string& program, const ProgramCall& call, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  // Our threads run with signals blocked, and the daemon ignores some.
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const std::vector<char*> argv = Pointers(call.arguments);
  const std::vector<char*> envp = Pointers(call.environment);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return FailErrno(error, fmt::format("run '{}'", Printable(program)));
  return pid;
}

}  // namespace

Result<std::vector<std::string>> SplitCommand(std::string_view command) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    const bool last = i + 1 == command.size();
    if (quote == '\'') {
      if (c == quote)
        quote = 0;
      else
        word.push_back(c);
    } else if (quote == '"') {
      if (c == quote)
        quote = 0;
      else if (c == '\\' && !last && (command[i + 1] == '"' || command[i + 1] == '\\'))
        word.push_back(command[++i]);
      else
        word.push_back(c);
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == '\\' && !last) {
      word.push_back(command[++i]);
      in_word = true;
    } else if (c == ' ' || c == '\t') {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word.push_back(c);
      in_word = true;
    }
  }
  if (quote != 0) return Fail(Errc::kInvalid, "a command with a quote that does not end");
  if (in_word) words.push_back(std::move(word));
  if (words.empty()) return Fail(Errc::kInvalid, "an empty command");
  return words;
}

Result<std::string> RunProgram(const ProgramCall& call, const std::stop_token& stop) {
  const std::string name = Printable(call.arguments.front(), 200);
  const auto program = FindInPath(call.arguments.front(), call.environment);
  if (!program) return Fail(Errc::kNotFound, fmt::format("there is no program '{}'", name));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno(errno, "make a pipe");
  const Fd output(ends[0]);
  Fd input(ends[1]);
  const Fd wake(::eventfd(0, EFD_CLOEXEC));
  if (!wake) return FailErrno(errno, "make an eventfd");
  const auto pid = Spawn(*program, call, input.get());
  if (!pid) return std::unexpected(pid.error());
  input.Reset();
  Child child(*pid);
  const std::stop_callback on_stop(stop, [&wake] { ::eventfd_write(wake.get(), 1); });

  const auto until = Clock::now() + call.limit;
  std::string text;
  std::array<char, 16384> buffer{};
  const Fd ended = child.Ended();
  // Until its output ends, then until it does itself.
  for (bool reading = true;;) {
    if (stop.stop_requested()) return Fail(Errc::kCancelled, fmt::format("{}: cancelled", name));
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) {
      return Fail(Errc::kTransient,
                  fmt::format("'{}' did not end within {} ms", name, call.limit.count()));
    }
    std::array<pollfd, 2> wait{
        {{.fd = reading ? output.get() : ended.get(), .events = POLLIN, .revents = 0},
         {.fd = wake.get(), .events = POLLIN, .revents = 0}}};
    if (::poll(wait.data(), wait.size(), static_cast<int>(left)) <= 0 || wait[0].revents == 0) {
      continue;
    }
    if (!reading) break;
    const ssize_t n = ::read(output.get(), buffer.data(), buffer.size());
    if (n < 0 && errno != EINTR) return FailErrno(errno, fmt::format("read from '{}'", name));
    if (n == 0) reading = false;
    if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > call.max_output_bytes) {
      return Fail(Errc::kCorrupt,
                  fmt::format("'{}' wrote more than {} bytes", name, call.max_output_bytes));
    }
  }
  const int status = child.Wait();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  return Fail(Errc::kDenied,
              WIFEXITED(status)
                  ? fmt::format("'{}' ended with status {}", name, WEXITSTATUS(status))
                  : fmt::format("'{}' was ended by signal {}", name, WTERMSIG(status)));
}

}  // namespace modelfs
