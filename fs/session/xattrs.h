#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fetch/origin.h"
#include "index/cache.h"

namespace modelfs::fs {

/// The one whose value Signatures knows.
inline constexpr std::string_view kSignatureXattr = "user.modelfs.signature";

/// The names of a file's extended attributes, each ending in NUL, as listxattr(2) gives them.
std::string_view XattrNames();

/// The value of `name` ("user.modelfs.etag"); nullopt for a name that we do not have. `status` is
/// what the cache knows of the object, if anything.
std::optional<std::string> XattrValue(std::string_view name, const fetch::ObjectId& id,
                                      const std::optional<index::ObjectStatus>& status);

}  // namespace modelfs::fs
