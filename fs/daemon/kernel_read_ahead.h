#pragma once

#include <cstdint>
#include <optional>

#include "fs/daemon/fusermount.h"

namespace modelfs::fs {

/// What a mount's requests are to grow to where the kernel does not read the file by itself.
inline constexpr std::uint64_t kWantedReadAheadKb = kMaxReadBytes / 1024;

/// How far the kernel reads ahead of who reads the mount with this minor number; it is also the
/// most that one of its requests for a page cache asks for. Nullopt: it does not say.
std::optional<std::uint64_t> KernelReadAheadKb(unsigned minor);

/// The most that any request on this machine can ask for (fs.fuse.max_pages_limit, Linux 6.13).
/// Nullopt: the kernel does not say; then it is 1 MiB.
std::optional<std::uint64_t> KernelMostRequestKb();

}  // namespace modelfs::fs
