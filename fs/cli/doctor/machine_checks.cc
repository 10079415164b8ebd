#include "fs/cli/doctor/machine_checks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <compare>
#include <cstdint>
#include <fstream>
#include <optional>
#include <system_error>

#include "fetch/base/handle.h"
#include "fetch/base/size.h"
#include "fs/daemon/kernel_read_ahead.h"

namespace modelfs::fs {
namespace {

using enum Finding::Level;

constexpr int kCapSysAdmin = 21;

struct KernelVersion {
  int major = 0;
  int minor = 0;
  friend auto operator<=>(const KernelVersion&, const KernelVersion&) = default;
};

/// 0.0 when it is not "N.N..."
KernelVersion ParseVersion(const std::string& release) {
  KernelVersion version;
  const char* const end = release.data() + release.size();
  const auto major = std::from_chars(release.data(), end, version.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return {};
  if (std::from_chars(major.ptr + 1, end, version.minor).ec != std::errc{}) return {};
  return version;
}

std::string Message(int error_number) { return std::generic_category().message(error_number); }

/// From /proc/self/status: "CapEff:	000001ffffffffff".
bool HasCapSysAdmin() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("CapEff:")) continue;
    const std::size_t digits = line.find_first_of("0123456789abcdef", 7);
    std::uint64_t capabilities = 0;
    if (digits == std::string::npos) return false;
    std::from_chars(line.data() + digits, line.data() + line.size(), capabilities, 16);
    return ((capabilities >> kCapSysAdmin) & 1) != 0;
  }
  return false;
}

std::optional<std::string> FindOnPath(const Environment& env, const std::string& program) {
  std::string rest = env.Get("PATH").value_or("/usr/bin:/bin");
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    std::string file = rest.substr(0, colon) + "/" + program;
    if (::access(file.c_str(), X_OK) == 0) return file;
    rest.erase(0, colon + 1);
  }
  return std::nullopt;
}

bool FuseConfAllowsOther() {
  std::ifstream in("/etc/fuse.conf");
  for (std::string line; std::getline(in, line);) {
    line.erase(line.find_last_not_of(" \t\r") + 1);
    line.erase(0, line.find_first_not_of(" \t"));
    if (line == "user_allow_other") return true;
  }
  return false;
}

std::string UringMend(int error_number) {
  if (error_number == ENOSYS) return "a newer kernel, or a container profile that allows io_uring";
  if (error_number == ENOMEM) return "raise the limit of locked memory (ulimit -l)";
  std::ifstream in("/proc/sys/kernel/io_uring_disabled");
  std::string value;
  if (in >> value && value != "0") {
    return fmt::format("kernel.io_uring_disabled is {}: sysctl kernel.io_uring_disabled=0", value);
  }
  return "containers block it by default: allow io_uring in the seccomp profile";
}

}  // namespace

Finding CheckKernel(const std::string& release) {
  const KernelVersion version = ParseVersion(release);
  if (version >= KernelVersion{6, 9}) {
    return {kOk, "kernel", fmt::format("Linux {}: has all that modelfs uses", release), ""};
  }
  if (version >= KernelVersion{5, 4}) {
    return {kWarn, "kernel",
            fmt::format("Linux {}: works, but before 6.9 requests in flight are lost when a daemon "
                        "crashes, and there is no passthrough",
                        release),
            "Linux 6.9 or newer"};
  }
  return {kWarn, "kernel", fmt::format("Linux {}: modelfs was never tried on it", release),
          "Linux 6.9 or newer; 5.4 at least"};
}

Finding CheckFuseDevice() {
  const Fd fd(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (fd) return {kOk, "fuse", "/dev/fuse opens", ""};
  std::string mend;
  switch (errno) {
    case ENOENT:
      mend = "modprobe fuse; in a container give it the device (--device /dev/fuse)";
      break;
    case EACCES: mend = "chmod 0666 /dev/fuse, as udev does"; break;
    case EPERM:
      mend = "the container may not use the device: run it with --device /dev/fuse";
      break;
    default: mend = "modprobe fuse"; break;
  }
  return {kFail, "fuse", fmt::format("/dev/fuse does not open: {}", Message(errno)), mend};
}

Findings CheckMounting(const Environment& env) {
  if (HasCapSysAdmin()) {
    return {{kOk, "mounting", "this process may mount by itself (CAP_SYS_ADMIN)", ""}};
  }
  const auto program = FindOnPath(env, "fusermount3");
  struct stat entry{};
  if (!program) {
    return {{kFail, "mounting", "fusermount3 is not on the PATH, and without it only root mounts",
             "apt install fuse3"}};
  }
  if (::stat(program->c_str(), &entry) == 0 &&
      (entry.st_uid != 0 || (entry.st_mode & S_ISUID) == 0)) {
    return {{kFail, "mounting", fmt::format("{} is not setuid root, so it cannot mount", *program),
             fmt::format("chown root {0} && chmod u+s {0}", *program)}};
  }
  Findings findings{{kOk, "mounting", fmt::format("through {}", *program), ""}};
  if (FuseConfAllowsOther()) {
    findings.push_back({kOk, "allow_other", "users may share their mounts with --allow-other", ""});
  } else {
    findings.push_back({kWarn, "allow_other", "--allow-other is for root only on this machine",
                        "the line user_allow_other in /etc/fuse.conf"});
  }
  return findings;
}

Finding CheckUring(index::IoBackend wanted) {
  if (wanted == index::IoBackend::kThreads) {
    return {kOk, "io_uring", "not used, as --io threads says", ""};
  }
  io_uring ring{};
  const int rc = ::io_uring_queue_init(4, &ring, 0);
  if (rc == 0) {
    ::io_uring_queue_exit(&ring);
    return {kOk, "io_uring", "available; cache files are read and written through it", ""};
  }
  const auto what = fmt::format("not available: {}", Message(-rc));
  if (wanted == index::IoBackend::kUring) {
    return {kFail, "io_uring", what + ", and --io uring insists on it",
            "--io auto, or " + UringMend(-rc)};
  }
  return {kWarn, "io_uring", what + "; a thread pool does the same work, a little slower",
          UringMend(-rc)};
}

Finding CheckPassthrough(const std::string& release) {
  constexpr std::string_view kWithout = "whole files are read through this program, more slowly";
  if (ParseVersion(release) < KernelVersion{6, 9}) {
    return {kWarn, "passthrough", fmt::format("not possible before Linux 6.9; {}", kWithout),
            "a newer kernel"};
  }
  if (!HasCapSysAdmin()) {
    return {kWarn, "passthrough", fmt::format("not possible without CAP_SYS_ADMIN; {}", kWithout),
            "run as root, or in a privileged container"};
  }
  return {kOk, "passthrough", "the kernel reads whole files by itself", ""};
}

Finding CheckReadAhead() {
  const std::uint64_t most = KernelMostRequestKb().value_or(kWantedReadAheadKb);
  if (most < kWantedReadAheadKb) {
    return {kWarn, "read_ahead",
            fmt::format("the kernel asks for {} at most at a time", FormatSize(most * 1024)),
            "sysctl fs.fuse.max_pages_limit=256 before the mount is made"};
  }
  struct statvfs sys{};
  const bool writable =
      ::geteuid() == 0 && ::statvfs("/sys", &sys) == 0 && (sys.f_flag & ST_RDONLY) == 0;
  if (!writable) {
    return {kWarn, "read_ahead",
            "/sys cannot be written: what is not read by passthrough comes in pieces of 128 KiB",
            "as root on the host: echo 1024 >/sys/class/bdi/0:N/read_ahead_kb, where N is what "
            "'stat -c %d MOUNTPOINT' prints"};
  }
  return {kOk, "read_ahead", "what is not read by passthrough comes in pieces of 1 MiB", ""};
}

Findings CheckMachine(const Environment& env, index::IoBackend wanted) {
  utsname name{};
  ::uname(&name);
  Findings findings{CheckKernel(name.release), CheckFuseDevice()};
  for (auto& finding : CheckMounting(env)) findings.push_back(std::move(finding));
  findings.push_back(CheckUring(wanted));
  findings.push_back(CheckPassthrough(name.release));
  findings.push_back(CheckReadAhead());
  return findings;
}

}  // namespace modelfs::fs
