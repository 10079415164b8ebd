#pragma once

#include <string>

#include "fetch/base/error.h"

namespace modelfs {

/// All of a file that holds a token, a password or settings. Waits for the disk.
/// Errors: kInvalid (over `limit` bytes), others as FromErrno; the text names the path.
Result<std::string> ReadSmallFile(const std::string& path, std::size_t limit = 1u << 20);

}  // namespace modelfs
