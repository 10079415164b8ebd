#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fs {

/// Reads the token of a file, without white space at its ends.
/// Errors: kInvalid (empty, over 4 KiB), and those of reading; the text names the file, never the
/// token.
Result<std::string> ReadToken(const std::string& file);

/// Whether an Authorization header ("Bearer TOKEN") carries `token`. Takes as long for a wrong
/// token as for the right one of that length.
bool CarriesToken(const std::optional<std::string>& authorization, std::string_view token);

}  // namespace modelfs::fs
