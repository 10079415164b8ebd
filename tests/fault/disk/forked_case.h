#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace modelfs::test {

/// How a piece of work in a process of its own ended.
struct ForkedResult {
  std::string what;  ///< "" when it held; else what did not.
  int signal = 0;    ///< That ended it; SIGKILL for one that missed its deadline.
  bool late = false;
  double seconds = 0;
  bool ok() const { return what.empty(); }
};

/// Runs `body` in a child process, whose log is dropped and whose end takes its memory, threads
/// and descriptors along. What it returns is the child's verdict: "" is good.
/// Requires: one thread.
ForkedResult RunForked(const std::function<std::string()>& body, std::chrono::milliseconds limit);

/// The same for `count` bodies, as many at once as there are processors.
std::vector<ForkedResult> RunForked(std::size_t count,
                                    const std::function<std::string(std::size_t)>& body,
                                    std::chrono::milliseconds limit);

/// A number from the environment, for how much of a battery is to be run.
std::size_t Amount(const char* variable, std::size_t otherwise);

/// Writes `json` to `name` in the folder of the build tree.
void WriteReport(const std::string& name, const std::string& json);

}  // namespace modelfs::test
