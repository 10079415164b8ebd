#include "fs/session/device_faults.h"

#include <fmt/format.h>

#include <cstring>
#include <string_view>

#include "fs/session/fuse_api.h"

namespace modelfs::fs {
namespace {

// From the kernel's include/uapi/linux/fuse.h. Those without an answer are not remembered.
constexpr std::uint32_t kForget = 2;
constexpr std::uint32_t kBatchForget = 42;
constexpr std::uint32_t kInterrupt = 36;

std::string_view NameOf(std::uint32_t opcode) {
  switch (opcode) {
    case 1: return "lookup";
    case 3: return "getattr";
    case 14: return "open";
    case 15: return "read";
    case 18: return "release";
    case 28:
    case 44: return "readdir";
    default: return "other";
  }
}

}  // namespace

void DeviceFaults::Taken(std::span<const std::byte> request) {
  FuseInHeader header{};
  if (request.size() < sizeof header) return;
  std::memcpy(&header, request.data(), sizeof header);
  if (header.opcode == kForget || header.opcode == kBatchForget || header.opcode == kInterrupt) {
    return;
  }
  {
    MutexLock lock(mutex_);
    asked_[header.unique] = header.opcode;
  }
  points_.Hit(fmt::format("session.{}", NameOf(header.opcode)));
}

std::string DeviceFaults::Answering(const iovec& head) {
  FuseOutHeader header{};
  std::memcpy(&header, head.iov_base, sizeof header);
  std::string answer;
  {
    MutexLock lock(mutex_);
    const auto asked = asked_.find(header.unique);
    if (asked == asked_.end()) return answer;  // A notification.
    answer = fmt::format("session.{}", NameOf(asked->second));
    asked_.erase(asked);
  }
  points_.Hit(answer + ".reply");
  return answer;
}

void DeviceFaults::Answered(const std::string& answer) {
  if (!answer.empty()) points_.Hit(answer + ".replied");
}

}  // namespace modelfs::fs
