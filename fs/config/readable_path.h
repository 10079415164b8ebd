#pragma once

#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// `path` made absolute. `what` names it in messages: "the CA bundle".
/// Errors: as FromErrno, when it cannot be opened and read.
Result<std::string> ReadablePath(const std::string& path, std::string_view what);

}  // namespace modelfs::fs
