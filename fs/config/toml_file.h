#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "fetch/base/error.h"
#include "fs/config/settings.h"

namespace modelfs::fs {

/// Reads a configuration file. Relative paths in it are taken from the file's own folder.
/// Errors: kInvalid, naming file, line and key: bad TOML, an unknown key, a value of the wrong type
/// or out of range, a [[source]] without uri; as FromErrno when the file cannot be read.
Result<Settings> ReadTomlFile(const std::filesystem::path& file);

/// The same from text; `name` stands for the file in messages, `folder` for where it lies.
Result<Settings> ParseToml(std::string_view text, std::string_view name,
                           const std::filesystem::path& folder);

}  // namespace modelfs::fs
