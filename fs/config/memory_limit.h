#pragma once

#include <cstdint>
#include <filesystem>

namespace modelfs::fs {

/// Bytes of memory that this process may use: the smallest of the machine's RAM and the limits of
/// its cgroup and of the groups above that (version 1, 2 or both).
///
/// `root` is "/" but in tests; /proc/meminfo, /proc/self/cgroup and /sys/fs/cgroup are read below
/// it. Never fails: what cannot be read is no limit, and without any answer it is 1 GiB. Source:
/// Documentation/admin-guide/cgroup-v2.rst, memory.max; cgroup-v1/memory.rst.
std::uint64_t MemoryLimitBytes(const std::filesystem::path& root = "/");

}  // namespace modelfs::fs
