#include "tests/support/child_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace modelfs::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using FileActions = Handle<posix_spawn_file_actions_t, posix_spawn_file_actions_destroy>;

constexpr auto kPatience = std::chrono::seconds(3);

std::vector<std::string> Environment(const ChildProcess::Options& options) {
  std::vector<std::string> lines;
  for (char** line = environ; *line != nullptr; ++line) {
    const std::string_view text = *line;
    bool replaced = false;
    for (const auto& [name, value] : options.environment) {
      replaced = replaced || text.starts_with(name + '=');
    }
    if (!replaced) lines.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) {
    lines.push_back(fmt::format("{}={}", name, value));
  }
  return lines;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

bool IsProgram(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

Result<std::unique_ptr<ChildProcess>> ChildProcess::Start(const Options& options) {
  const std::string program = FindProgram(options.arguments.at(0), "", {});
  if (program.empty()) return Fail(Errc::kNotFound, "no program " + options.arguments[0]);
  std::vector<std::string> arguments = options.arguments;
  arguments[0] = program;
  if (const std::string setpriv = FindProgram("setpriv", "", {}); !setpriv.empty()) {
    arguments.insert(arguments.begin(), {setpriv, "--pdeathsig", "KILL", "--"});
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return FailErrno(errno, "pipe2");
  Fd read_end(ends[0]);
  const Fd write_end(ends[1]);

  posix_spawn_file_actions_t actions_storage;
  posix_spawn_file_actions_init(&actions_storage);
  const FileActions actions(&actions_storage);
  posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(actions.get(), write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(actions.get(), write_end.get(), STDERR_FILENO);
  std::vector<std::string> environment = Environment(options);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, arguments[0].c_str(), actions.get(), nullptr,
                                  Pointers(arguments).data(), Pointers(environment).data());
  if (error != 0) return FailErrno(error, "start " + program);
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid, std::move(read_end)));
}

ChildProcess::ChildProcess(pid_t pid, Fd output)
    : pid_(pid),
      exit_fd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))),
      output_fd_(std::move(output)),
      reader_([this] { ReadOutput(); }) {}

ChildProcess::~ChildProcess() {
  Signal(SIGTERM);
  if (!WaitForExit(kPatience)) {
    Signal(SIGKILL);
    const Result<int> killed = WaitForExit(kPatience);
    if (!killed) std::fprintf(stderr, "child: %s\n", killed.error().what.c_str());
  }
  // A grandchild may still hold the pipe: do not wait for its end.
  const MutexLock lock(mutex_);
  closed_ = true;
}

void ChildProcess::ReadOutput() {
  while (true) {
    pollfd poll_fd{.fd = output_fd_.get(), .events = POLLIN, .revents = 0};
    std::array<char, 4096> buffer;
    const bool ready = ::poll(&poll_fd, 1, 50) > 0;
    const ssize_t n = ready ? ::read(output_fd_.get(), buffer.data(), buffer.size()) : -1;
    const MutexLock lock(mutex_);
    if (closed_) return;
    if (!ready) continue;
    if (n > 0) output_.append(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0) closed_ = true;
    changed_.NotifyAll();
  }
}

std::string ChildProcess::Output() const {
  const MutexLock lock(mutex_);
  return output_;
}

Result<std::string> ChildProcess::WaitForLine(std::string_view text,
                                              std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  const MutexLock lock(mutex_);
  while (true) {
    const std::size_t found = output_.find(text);
    const std::size_t end = found == std::string::npos ? found : output_.find('\n', found);
    if (end != std::string::npos) {
      const std::size_t before = output_.rfind('\n', found);
      const std::size_t begin = before == std::string::npos ? 0 : before + 1;
      return output_.substr(begin, end - begin);
    }
    if (closed_) return Fail(Errc::kIo, fmt::format("ended without '{}':\n{}", text, output_));
    if (Clock::now() >= deadline) {
      return Fail(Errc::kTimeout, fmt::format("no '{}' yet:\n{}", text, output_));
    }
    changed_.WaitUntil(mutex_, deadline);
  }
}

Result<int> ChildProcess::WaitForExit(std::chrono::milliseconds limit) {
  if (exit_status_) return *exit_status_;
  pollfd poll_fd{.fd = exit_fd_.get(), .events = POLLIN, .revents = 0};
  if (::poll(&poll_fd, 1, static_cast<int>(limit.count())) <= 0) {
    return Fail(Errc::kTimeout, fmt::format("process {} goes on", pid_));
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  exit_status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return *exit_status_;
}

void ChildProcess::Signal(int number) const {
  if (!exit_status_) static_cast<void>(::kill(pid_, number));
}

std::string FindProgram(const std::string& program, const char* override,
                        const std::vector<std::string>& folders) {
  if (program.find('/') != std::string::npos) return IsProgram(program) ? program : "";
  if (const char* path = std::getenv(override); path != nullptr && *path != '\0') {
    return IsProgram(path) ? path : "";
  }
  for (const std::string& folder : folders) {
    if (!folder.empty() && IsProgram(fs::path(folder) / program)) return fs::path(folder) / program;
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, end)) / program;
    if (IsProgram(candidate)) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

std::uint16_t FreePort() {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return 0;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 0;
  }
  return ntohs(address.sin_port);
}

int HttpStatus(std::uint16_t port, const std::string& path) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return 0;
  const timeval second{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 0;
  const std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", path, port);
  if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return 0;
  std::array<char, 16> head{};
  const ssize_t n = ::recv(fd.get(), head.data(), head.size() - 1, MSG_WAITALL);
  if (n < 12 || std::strncmp(head.data(), "HTTP/1.", 7) != 0) return 0;
  return std::atoi(head.data() + 9);
}

Result<void> WaitForHttp(ChildProcess& server, std::uint16_t port, const std::string& path,
                         std::chrono::milliseconds limit) {
  constexpr std::chrono::milliseconds kAskAgain{20};
  const Clock::time_point deadline = Clock::now() + limit;
  while (HttpStatus(port, path) == 0) {
    if (Clock::now() >= deadline) {
      return Fail(Errc::kTimeout, fmt::format("nobody answers at 127.0.0.1:{}", port));
    }
    if (const auto ended = server.WaitForExit(kAskAgain); ended) {
      return Fail(Errc::kIo, fmt::format("process {} ended with {} before it answered: {}",
                                         server.pid(), *ended, server.Output()));
    }
  }
  return {};
}

}  // namespace modelfs::test
