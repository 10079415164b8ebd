#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace modelfs::fs {

/// A daemon's status for people: health, cache, a table of mounts and sources, downloads, jobs.
/// With `mountpoint` the table has that mount only. Control characters in names are shown as '?'.
std::string StatusText(const nlohmann::json& status, const std::optional<std::string>& mountpoint);

}  // namespace modelfs::fs
