#pragma once

#include <string_view>

namespace modelfs {

/// Whether `path`, from elsewhere, is safe to take: relative, no empty, "." or ".." component, no
/// NUL, at most 64 deep and 4096 bytes.
bool IsSafeRelativePath(std::string_view path);

}  // namespace modelfs
