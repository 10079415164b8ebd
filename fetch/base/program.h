#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/base/error.h"

namespace modelfs {

/// Splits a command line as a POSIX shell would with nothing to expand: blanks, quotes of both
/// kinds, backslashes.
/// Errors: kInvalid: empty, or a quote without its end.
Result<std::vector<std::string>> SplitCommand(std::string_view command);

struct ProgramCall {
  std::vector<std::string> arguments;    ///< The program first; looked up in PATH of `environment`.
  std::vector<std::string> environment;  ///< All that the child gets, "NAME=value".
  std::chrono::milliseconds limit{60'000};
  std::size_t max_output_bytes = 1u << 20;
};

/// Runs a program to its end and returns what it wrote to its standard output; its standard error
/// and input are /dev/null. Waits, so not for http or timer threads. Whatever remains of its
/// process group when it is over time, or `stop` asks, is killed. Errors: kNotFound (no such
/// program), kDenied (it may not be run, or ended with another status than 0, which the text
/// names), kTransient (over time), kCorrupt (too much output), kCancelled, kIo.
Result<std::string> RunProgram(const ProgramCall& call, const std::stop_token& stop);

}  // namespace modelfs
