#pragma once

// The one place that chooses libfuse's API version. 312 is what Debian 12's 3.14 and Debian 13's
// 3.17 both offer with the same meaning.
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelfs::fs {

// From the kernel's include/uapi/linux/fuse.h; Debian 12's copy lacks the newer ones.
inline constexpr std::int32_t kFuseNotifyResend = 7;  ///< Linux 6.9+.
inline constexpr std::uint32_t kFuseInitOpcode = 26;

/// struct fuse_backing_map, and the calls on /dev/fuse that take one (Linux 6.9+).
struct FuseBackingMap {
  std::int32_t fd;
  std::uint32_t flags;
  std::uint64_t padding;
};
static_assert(sizeof(FuseBackingMap) == 16);
inline constexpr unsigned long kFuseBackingOpen = _IOW(229, 1, FuseBackingMap);
inline constexpr unsigned long kFuseBackingClose = _IOW(229, 2, std::uint32_t);

/// struct fuse_open_out.
struct FuseOpenOut {
  std::uint64_t handle;
  std::uint32_t flags;
  std::int32_t backing_id;
};
static_assert(sizeof(FuseOpenOut) == 16);
inline constexpr std::uint32_t kFuseOpenNoFlush = 1u << 5;
inline constexpr std::uint32_t kFuseOpenPassthrough = 1u << 7;

/// struct fuse_init_in, and where struct fuse_init_out has what libfuse 3.14 does not know.
inline constexpr std::size_t kFuseInitInFlags = 40 + 12;
inline constexpr std::size_t kFuseInitInFlags2 = kFuseInitInFlags + 4;
inline constexpr std::size_t kFuseInitOutFlags = 12;
inline constexpr std::size_t kFuseInitOutFlags2 = 32;
inline constexpr std::size_t kFuseInitOutStackDepth = 36;
inline constexpr std::uint32_t kFuseInitExt = 1u << 30;               ///< flags2 is there.
inline constexpr std::uint32_t kFuseInitFlags2Passthrough = 1u << 5;  ///< Bit 37 of both.
inline constexpr std::uint32_t kFuseInitFlags2Resend = 1u << 7;       ///< Bit 39 of both.

/// The second half of the flags in a FUSE_INIT as the kernel sent it; 0 when there is none.
std::uint32_t KernelFlags2(std::span<const std::byte> init);

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
