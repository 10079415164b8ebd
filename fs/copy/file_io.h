#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "fetch/base/error.h"

namespace modelfs::fs {

// Whole reads and writes at an offset. Wait for the disk; threads: any. Errors: as FromErrno, with
// `what`, the file, in the text.

Result<void> WriteAt(int fd, std::uint64_t offset, std::span<const std::byte> bytes,
                     std::string_view what);
/// A file that ends before is kCorrupt.
Result<void> ReadAt(int fd, std::uint64_t offset, std::span<std::byte> bytes,
                    std::string_view what);

}  // namespace modelfs::fs
