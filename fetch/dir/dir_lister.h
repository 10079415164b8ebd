#pragma once

#include <stop_token>
#include <string>

#include "fetch/origin.h"

namespace modelfs::fetch {

/// Lists `directory` ("" or "a/b/") below `root`; blocks. See DirOrigin for what is left out.
/// Errors: kNotFound, kDenied, kIo, kCancelled (`stop` asks).
Result<Listing> ListDirectory(const std::string& root, const std::string& directory,
                              const std::stop_token& stop);

}  // namespace modelfs::fetch
