#include "fs/daemon/fusermount.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fs/daemon/child_process.h"

namespace modelfs::fs {
namespace {

constexpr const char* kProgram = "fusermount3";
constexpr std::chrono::milliseconds kDeadline{10'000};

std::unexpected<Error> Explain(const ProgramResult& result, std::string_view operation) {
  if (result.exit_code == 127) {
    return Fail(Errc::kNotFound,
                fmt::format("{}: {} is not installed, which ordinary users need: 'apt install "
                            "fuse3', or run as root",
                            operation, kProgram));
  }
  const auto says = [&](const char* words) {
    return result.output.find(words) != std::string::npos;
  };
  std::string_view advice;
  if (says("user_allow_other")) {
    advice = ": add a line 'user_allow_other' to /etc/fuse.conf, or mount without allow_other";
  } else if (says("write access")) {
    advice = ": use a directory of your own";
  } else if (says("/dev/fuse") && says("Permission denied")) {
    advice = ": let users open it ('chmod 666 /dev/fuse' as root)";
  } else if (says("/dev/fuse")) {
    advice = ": give the container the device (docker run --device /dev/fuse)";
  } else if (says("not permitted")) {
    advice = ": is fusermount3 setuid root, and may this container mount?";
  }
  return Fail(Errc::kDenied, fmt::format("{}: {}{}", operation,
                                         result.output.empty() ? "fusermount3 gave no reason"
                                                               : result.output.c_str(),
                                         advice));
}

/// The descriptor that fusermount3 left in `socket`; none when there is none.
Fd ReceiveDescriptor(int socket) {
  char byte = 0;
  iovec data{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0) return Fd();
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
      header->cmsg_len != CMSG_LEN(sizeof(int))) {
    return Fd();
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

}  // namespace

Result<Fd> FusermountMount(const MountSpec& spec) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return FailErrno(errno, "socketpair");
  }
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  const std::string options = fmt::format(
      "ro,nosuid,nodev,fsname=modelfs,subtype=modelfs,default_permissions,max_read={}{}",
      kMaxReadBytes, spec.allow_other ? ",allow_other" : "");
  const auto result = RunProgram({kProgram, "-o", options, "--", spec.mountpoint}, theirs.get(),
                                 fmt::format("_FUSE_COMMFD={}", theirs.get()), kDeadline);
  const std::string operation = fmt::format("mount {}", spec.mountpoint);
  if (!result) return std::unexpected(result.error());
  if (result->exit_code != 0) return Explain(*result, operation);
  Fd device = ReceiveDescriptor(ours.get());
  if (!device) {
    return Fail(Errc::kIo, fmt::format("{}: {} handed over no descriptor", operation, kProgram));
  }
  return device;
}

Result<UnmountOutcome> FusermountUnmount(const std::string& mountpoint, UnmountMode mode) {
  std::vector<std::string> argv{kProgram, "-u"};
  if (mode == UnmountMode::kLazy) argv.emplace_back("-z");
  argv.insert(argv.end(), {"--", mountpoint});
  const auto result = RunProgram(argv, -1, "", kDeadline);
  if (!result) return std::unexpected(result.error());
  if (result->exit_code == 0) return UnmountOutcome::kGone;
  if (result->output.find("busy") != std::string::npos) return UnmountOutcome::kBusy;
  if (result->output.find("not found in") != std::string::npos) return UnmountOutcome::kGone;
  return Explain(*result, fmt::format("umount {}", mountpoint));
}

}  // namespace modelfs::fs
