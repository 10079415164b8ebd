#pragma once

#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// Checks "http(s)://HOST[:PORT][/]" and drops trailing slashes.
/// Errors: kInvalid: another scheme, no host, a path, a query or credentials in it.
Result<std::string> ParseEndpoint(std::string_view text);

}  // namespace modelfs::fs
