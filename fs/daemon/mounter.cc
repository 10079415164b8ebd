#include "fs/daemon/mounter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "fs/daemon/child_process.h"
#include "fs/daemon/fusermount.h"
#include "fs/daemon/kernel_read_ahead.h"
#include "fs/daemon/mount_point.h"
#include "fs/daemon/mount_table.h"

namespace modelfs::fs {
namespace {

// The kernel drops the mount's cached pages in it: those of 8 GiB take more than 5 s when it is
// busy.
constexpr std::chrono::milliseconds kUnmountDeadline{20'000};
constexpr int kMaxStacked = 16;
constexpr const char* kConnections = "/sys/fs/fuse/connections";

Result<Fd> OpenDevice() {
  Fd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (device) return device;
  if (errno == ENOENT || errno == ENODEV || errno == ENXIO) {
    return Fail(Errc::kNotFound,
                "open /dev/fuse: not there: load the module ('modprobe fuse'), or give the "
                "container the device (docker run --device /dev/fuse)");
  }
  if (errno == EPERM || errno == EACCES) {
    return Fail(Errc::kDenied,
                "open /dev/fuse: refused: the container's device rules do not allow it "
                "(docker run --device /dev/fuse)");
  }
  return FailErrno(errno, "open /dev/fuse");
}

Result<Fd> MountDirectly(const MountSpec& spec) {
  auto device = OpenDevice();
  if (!device) return device;
  const std::string options =
      fmt::format("fd={},rootmode=40000,user_id={},group_id={},default_permissions,max_read={}{}",
                  device->get(), ::geteuid(), ::getegid(), kMaxReadBytes,
                  spec.allow_other ? ",allow_other" : "");
  const std::string type(kFsType);
  if (::mount("modelfs", spec.mountpoint.c_str(), type.c_str(), MS_RDONLY | MS_NOSUID | MS_NODEV,
              options.c_str()) == 0) {
    return device;
  }
  if (errno == EPERM) {
    return Fail(Errc::kDenied, fmt::format("mount {}: refused: root without CAP_SYS_ADMIN cannot "
                                           "mount (docker run --cap-add SYS_ADMIN)",
                                           spec.mountpoint));
  }
  return FailErrno(errno, fmt::format("mount {}", spec.mountpoint));
}

Result<UnmountOutcome> UnmountDirectly(const std::string& mountpoint, UnmountMode mode) {
  const int flags = UMOUNT_NOFOLLOW | (mode == UnmountMode::kLazy ? MNT_DETACH : 0);
  const std::string operation = "umount " + mountpoint;
  const auto error_number =
      CallInChild([&] { return ::umount2(mountpoint.c_str(), flags) == 0 ? 0 : errno; }, operation,
                  kUnmountDeadline);
  if (!error_number) return std::unexpected(error_number.error());
  switch (*error_number) {
    case 0:
    case EINVAL:
    case ENOENT: return UnmountOutcome::kGone;
    case EBUSY: return UnmountOutcome::kBusy;
    default: return FailErrno(*error_number, operation);
  }
}

Result<void> WriteFile(const std::string& path, std::string_view text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return FailErrno(errno, "open " + path);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return FailErrno(errno, "write " + path);
  }
  return {};
}

class SystemMounter final : public Mounter {
 public:
  Result<Mounted> Mount(const MountSpec& spec) override {
    auto table = MountTable::Read();
    if (!table) return std::unexpected(table.error());
    if (auto free = CheckMountPoint(spec.mountpoint, *table); !free) {
      return std::unexpected(free.error());
    }
    if (auto cleared = DetachBroken(spec.mountpoint); !cleared) {
      return std::unexpected(cleared.error());
    }
    auto device = is_root_ ? MountDirectly(spec) : FusermountMount(spec);
    if (!device) return std::unexpected(device.error());
    table = MountTable::Read();
    if (!table) return std::unexpected(table.error());
    const auto entry = table->Find(spec.mountpoint);
    if (!entry || entry->fs_type != kFsType) {
      return Fail(Errc::kIo, fmt::format("mount {}: the kernel does not list it", spec.mountpoint));
    }
    return Mounted{.device = *std::move(device), .minor = entry->device_minor};
  }

  Result<UnmountOutcome> Unmount(const std::string& mountpoint, unsigned minor,
                                 UnmountMode mode) override {
    const auto table = MountTable::Read();
    if (!table) return std::unexpected(table.error());
    const auto entry = table->Find(mountpoint);
    if (!entry || entry->fs_type != kFsType || entry->device_minor != minor) {
      return UnmountOutcome::kGone;
    }
    return is_root_ ? UnmountDirectly(mountpoint, mode) : FusermountUnmount(mountpoint, mode);
  }

  Result<void> SetReadAhead(unsigned minor) override {
    return WriteFile(fmt::format("/sys/class/bdi/0:{}/read_ahead_kb", minor),
                     std::to_string(kWantedReadAheadKb));
  }

  Result<void> Abort(unsigned minor) override {
    const std::string path = fmt::format("{}/{}/abort", kConnections, minor);
    if (::access(path.c_str(), F_OK) != 0 && is_root_) {
      static_cast<void>(::mount("fusectl", kConnections, "fusectl", 0, nullptr));
    }
    return WriteFile(path, "1");
  }

 private:
  /// Several can lie on top of each other where an earlier life mounted without looking.
  Result<void> DetachBroken(const std::string& mountpoint) {
    for (int i = 0; i < kMaxStacked; ++i) {
      const auto table = MountTable::Read();
      if (!table) return std::unexpected(table.error());
      const auto entry = table->Find(mountpoint);
      if (!entry || entry->fs_type != kFsType) return {};
      if (ProbeMount(mountpoint) != MountHealth::kBroken) break;
      spdlog::warn("mount.stale_detached mountpoint={} connection={}", mountpoint,
                   entry->device_minor);
      if (auto done = Unmount(mountpoint, entry->device_minor, UnmountMode::kLazy); !done) {
        return std::unexpected(done.error());
      }
    }
    return Fail(Errc::kInvalid, fmt::format("mount point {} is already mounted", mountpoint));
  }

  const bool is_root_ = ::geteuid() == 0;
};

}  // namespace

std::unique_ptr<Mounter> MakeSystemMounter() { return std::make_unique<SystemMounter>(); }

}  // namespace modelfs::fs
