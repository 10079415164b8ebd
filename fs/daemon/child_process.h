#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fs {

// Calls that can hang in the kernel (a broken mount, a program that waits) are made in a child, so
// that the caller goes on after a deadline.

struct ProgramResult {
  int exit_code = 0;   ///< 127: could not be started (not found); 128 + n: killed by signal n.
  std::string output;  ///< The end of what it wrote to stderr, trimmed.
};

/// Runs `argv`, found on $PATH, with C locale and stdout discarded, and waits for its end.
/// `inherited`: a descriptor that it gets under the same number; -1: none. `variable`: one more
/// "NAME=value" of its environment, or "".
/// Errors: kTimeout (it was killed), kIo.
Result<ProgramResult> RunProgram(const std::vector<std::string>& argv, int inherited,
                                 const std::string& variable, std::chrono::milliseconds deadline);

/// Runs `body` in a child and returns its errno (0: none).
/// Errors: kTimeout, naming `operation` (the child is killed, and left behind when the kernel
/// holds it), kIo.
Result<int> CallInChild(const std::function<int()>& body, std::string_view operation,
                        std::chrono::milliseconds deadline);

/// Waits until process `pid` (need not be a child) has ended; false when `deadline` passed first.
bool WaitForExit(pid_t pid, std::chrono::milliseconds deadline);

/// To be called first in a forked child: lets all signals through again.
void ResetSignals();

}  // namespace modelfs::fs
