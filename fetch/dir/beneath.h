#pragma once

#include <string>

#include "fetch/base/error.h"
#include "fetch/base/handle.h"

namespace modelfs::fetch {

/// Opens `path` ("" for the root itself) below `root`, an open directory, so that nothing outside
/// of it can be reached: "..", absolute and magic links that lead out fail. `flags` as for open(2).
///
/// openat2(2) with RESOLVE_BENEATH; where a kernel or a container's filter lacks it, each component
/// is opened by itself and symbolic links are not followed at all.
/// Errors: kNotFound, kDenied (leads out, or no permission), kIo.
Result<Fd> OpenBeneath(int root, const std::string& path, int flags);

}  // namespace modelfs::fetch
