#pragma once

#include <filesystem>
#include <string_view>

#include "fetch/base/error.h"
#include "fs/config/environment.h"
#include "fs/config/settings.h"

namespace modelfs::fs {

/// `cache = "memory"`: no disk is used.
inline constexpr std::string_view kCacheInMemory = "memory";

/// Where the cache and its index lie.
struct CachePlaces {
  std::filesystem::path cache;
  std::filesystem::path index;  ///< Empty: beside the data.
  bool in_memory = false;
};

/// What the settings say, where that can be. Without `cache` it is the user's default directory, or
/// memory (below /dev/shm) where nothing can be written there, as in a pod whose root is read-only.
/// An index never lies on a network filesystem, which LMDB forbids: it goes to /var/tmp, or to
/// memory where that is no local disk or cannot be written. Errors: those of DefaultCacheDirectory;
/// kDenied (somebody else has made our folder there).
Result<CachePlaces> FindCachePlaces(const Settings& settings, const Environment& env);

}  // namespace modelfs::fs
