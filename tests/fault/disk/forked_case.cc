#include "tests/fault/disk/forked_case.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include "fetch/base/handle.h"

namespace modelfs::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Child {
  std::size_t index = 0;
  pid_t pid = -1;
  Fd answer;
  std::string text;
  Clock::time_point begun;
};

[[noreturn]] void RunBody(const std::function<std::string(std::size_t)>& body, std::size_t index,
                          int answer) {
  spdlog::set_level(std::getenv("MODELFS_TEST_LOG") != nullptr ? spdlog::level::debug
                                                               : spdlog::level::off);
  std::string verdict;
  try {
    verdict = body(index);
  } catch (const std::exception& error) {
    verdict = std::string("exception: ") + error.what();
  }
  verdict.push_back('\n');  // The sign that it came to its end.
  for (std::size_t done = 0; done < verdict.size();) {
    const ssize_t n = ::write(answer, verdict.data() + done, verdict.size() - done);
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::_exit(0);
}

std::optional<Child> Start(const std::function<std::string(std::size_t)>& body, std::size_t index) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    RunBody(body, index, ends[1]);
  }
  ::close(ends[1]);
  return Child{.index = index, .pid = pid, .answer = Fd(ends[0]), .begun = Clock::now()};
}

ForkedResult Finish(Child& child, bool late) {
  if (late) ::kill(child.pid, SIGKILL);
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  ForkedResult result;
  result.late = late;
  result.seconds = std::chrono::duration<double>(Clock::now() - child.begun).count();
  result.what = child.text;
  if (result.what.ends_with('\n')) {
    result.what.pop_back();
    return result;
  }
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  result.what = late ? "did not end in time" : std::string("died: ") + strsignal(result.signal);
  if (!late && result.signal == 0) result.what = "ended without a verdict";
  return result;
}

/// False when it has said all.
bool Take(Child& child) {
  std::array<char, 4096> block{};
  const ssize_t n = ::read(child.answer.get(), block.data(), block.size());
  if (n > 0) child.text.append(block.data(), static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && errno == EINTR);
}

}  // namespace

std::vector<ForkedResult> RunForked(std::size_t count,
                                    const std::function<std::string(std::size_t)>& body,
                                    std::chrono::milliseconds limit) {
  std::vector<ForkedResult> results(count);
  std::vector<Child> running;
  const std::size_t at_once = std::max(1u, std::thread::hardware_concurrency());
  std::size_t next = 0;
  while (next < count || !running.empty()) {
    while (next < count && running.size() < at_once) {
      auto child = Start(body, next);
      if (child) {
        running.push_back(std::move(*child));
      } else {
        results[next].what = "could not be started";
      }
      ++next;
    }
    std::vector<pollfd> polls;
    polls.reserve(running.size());
    for (const Child& child : running) polls.push_back({child.answer.get(), POLLIN, 0});
    ::poll(polls.data(), polls.size(), 100);
    for (std::size_t i = running.size(); i-- > 0;) {
      Child& child = running[i];
      const bool late = Clock::now() - child.begun > limit;
      const bool over = polls[i].revents != 0 && !Take(child);
      if (!over && !late) continue;
      results[child.index] = Finish(child, late && !over);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  return results;
}

ForkedResult RunForked(const std::function<std::string()>& body, std::chrono::milliseconds limit) {
  return RunForked(1, [&](std::size_t) { return body(); }, limit).front();
}

std::size_t Amount(const char* variable, std::size_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : otherwise;
}

void WriteReport(const std::string& name, const std::string& json) {
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  std::ofstream(program.parent_path().parent_path() / name) << json << '\n';
}

}  // namespace modelfs::test
