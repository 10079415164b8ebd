#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/registry.h"

namespace modelfs::fetch {

/// Lists one directory: "" for the top, else "a/b/". Called from several threads, also at
/// once. Names are the server's, unchecked.
using ListArtifacts =
    std::function<void(const std::string& directory, Done<std::vector<Entry>> done)>;

/// Finds all files below the top, some directories at once. Names that are no safe path are left
/// out, which is logged with `what` ("mlflow:http://host iris/1").
/// Errors: those of `list`; kInvalid: more than a million entries, or directories without end.
void WalkArtifacts(std::string what, ListArtifacts list, Done<std::vector<ManifestFile>> done);

}  // namespace modelfs::fetch
