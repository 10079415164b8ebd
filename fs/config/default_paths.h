#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "fetch/base/error.h"
#include "fs/config/environment.h"

namespace modelfs::fs {

/// /var/cache/modelfs for root, else $XDG_CACHE_HOME/modelfs, else ~/.cache/modelfs.
/// Errors: kInvalid when a user has no home; the text says what to set.
Result<std::filesystem::path> DefaultCacheDirectory(const Environment& env);

/// Where this user's control sockets lie: /run/modelfs for root, else $XDG_RUNTIME_DIR/modelfs,
/// else /tmp/modelfs-UID.
std::filesystem::path RuntimeDirectory(const Environment& env);

/// All directories whose sockets this user may ask, their own first: as a user the two of
/// RuntimeDirectory, as root also those of users.
std::vector<std::filesystem::path> AllRuntimeDirectories(const Environment& env);

/// The control socket of the daemon that owns `cache_directory`: RuntimeDirectory and a hash of the
/// canonical path, so that every way of writing the directory leads to one socket.
/// Errors: kInvalid when the path is longer than a unix socket's can be (107 bytes).
Result<std::string> ControlSocketPath(const std::filesystem::path& cache_directory,
                                      const Environment& env);

}  // namespace modelfs::fs
