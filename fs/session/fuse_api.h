#pragma once

// The one place that chooses libfuse's API version. 312 is what Debian 12's 3.14 and Debian 13's
// 3.17 both offer with the same meaning.
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <cstddef>
#include <cstdint>

namespace modelfs::fs {

// From the kernel's include/uapi/linux/fuse.h; Debian 12's copy lacks the newer ones.
inline constexpr std::int32_t kFuseNotifyResend = 7;  ///< Linux 6.9+.
inline constexpr std::uint32_t kFuseInitOpcode = 26;

/// The largest request where pages have 4 KiB: FUSE_MAX_MAX_PAGES and a header.
inline constexpr std::size_t kMaxFuseMessageBytes = (256u << 12) + 4096;

/// struct fuse_in_header: starts every request.
struct FuseInHeader {
  std::uint32_t len;
  std::uint32_t opcode;
  std::uint64_t unique;
  std::uint64_t nodeid;
  std::uint32_t uid;
  std::uint32_t gid;
  std::uint32_t pid;
  std::uint32_t padding;
};
static_assert(sizeof(FuseInHeader) == 40);

/// struct fuse_out_header: starts every reply; `unique` 0 and the notification's code in `error`
/// make it a notification.
struct FuseOutHeader {
  std::uint32_t len;
  std::int32_t error;
  std::uint64_t unique;
};
static_assert(sizeof(FuseOutHeader) == 16);

}  // namespace modelfs::fs
