#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fs/config/settings.h"

namespace modelfs::fs {

/// The paths of the files that a source's login comes from, absolute, where some are named.
struct LoginFiles {
  std::string auth_file;   ///< "user:password".
  std::string token_file;  ///< A bearer token.
};

/// Errors: kInvalid (both are named), those of ReadablePath.
Result<LoginFiles> FindLoginFiles(const SourceSettings& source);

}  // namespace modelfs::fs
