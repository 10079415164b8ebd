#pragma once

#include <filesystem>
#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fs {

/// Makes `directory` and what is missing above it, mode 0700. Errors: as FromErrno.
Result<void> MakeDirectories(const std::filesystem::path& directory);

/// Makes the cache directory if it is missing (parents too, mode 0700) and checks that it can be
/// used. Errors: kInvalid (a path in it is no directory), kDenied, kNoSpace, kIo; the text names
/// the directory and what to do.
Result<void> PrepareCacheDirectory(const std::filesystem::path& directory);

/// Opens the log of the daemon with this control socket for appending, and makes the folder of both
/// if it is missing (mode 0700). A log that has grown beyond 16 MiB is set aside as ".log.1" first.
/// Logs of daemons that have ended, and were not written to for a week, are removed on the way.
/// Errors: kDenied (the folder belongs to somebody else or is open to others), kNoSpace, kIo.
Result<Fd> OpenLog(const std::string& control_socket);

}  // namespace modelfs::fs
