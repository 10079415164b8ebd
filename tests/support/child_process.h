#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"
#include "fetch/base/mutex.h"

namespace modelfs::test {

/// A program that a test starts, waits for, and ends. Its output (both streams) is kept.
///
/// The child dies with the thread that started it (where util-linux has setpriv) and with this
/// object: SIGTERM, 3 seconds, SIGKILL; by its process id, never by name.
/// Threads: Start and the destructor on one thread; the rest on any.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> arguments;  ///< The program first, by path or found on PATH.
    std::vector<std::pair<std::string, std::string>> environment = {};  ///< Besides ours.
  };

  /// Errors: kNotFound (no such program), kIo.
  static Result<std::unique_ptr<ChildProcess>> Start(const Options& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  /// What it has written so far.
  std::string Output() const;
  /// The first whole line that contains `text`, as soon as it is written.
  /// Errors: kTimeout, kIo (it ended without); the text holds its output.
  Result<std::string> WaitForLine(std::string_view text, std::chrono::milliseconds limit);
  /// Its exit status, or 128 + signal.
  /// Errors: kTimeout.
  Result<int> WaitForExit(std::chrono::milliseconds limit);
  void Signal(int number) const;

 private:
  ChildProcess(pid_t pid, Fd output);
  void ReadOutput();

  const pid_t pid_;
  Fd exit_fd_;  ///< Readable when it has ended.
  Fd output_fd_;
  std::optional<int> exit_status_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::string output_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  std::jthread reader_;
};

/// Where `program` is: the value of the variable `override`, if set; else the first of `folders`
/// that has it, else PATH. Empty when nowhere.
std::string FindProgram(const std::string& program, const char* override,
                        const std::vector<std::string>& folders);

/// A port that was free a moment ago, on 127.0.0.1.
std::uint16_t FreePort();

/// The status of `GET path` from 127.0.0.1:`port`; 0 when nobody answers within a second.
int HttpStatus(std::uint16_t port, const std::string& path);

/// Waits until `server` answers `GET path` on 127.0.0.1:`port` with any status.
/// Errors: kTimeout; kIo (it ended without), the text holds its output.
Result<void> WaitForHttp(ChildProcess& server, std::uint16_t port, const std::string& path,
                         std::chrono::milliseconds limit);

}  // namespace modelfs::test
