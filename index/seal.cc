#include "index/seal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>

#include "fetch/base/handle.h"

namespace modelfs::index {
namespace {

constexpr const char* kNewSealName = "sealed.new";

struct Stamp {
  unsigned long long device = 0;
  unsigned long long inode = 0;
  unsigned long long size_bytes = 0;
  long long changed_ns = 0;
};

Result<Stamp> StampOf(int data) {
  struct stat info{};
  if (::fstat(data, &info) != 0) return FailErrno(errno, "seal: stat");
  return Stamp{.device = info.st_dev,
               .inode = info.st_ino,
               .size_bytes = static_cast<unsigned long long>(info.st_size),
               .changed_ns = info.st_ctim.tv_sec * 1'000'000'000LL + info.st_ctim.tv_nsec};
}

}  // namespace

Result<SealState> ReadSeal(const std::filesystem::path& object, int data) {
  const std::filesystem::path path = object / kSealName;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return SealState::kNone;
    return FailErrno(errno, fmt::format("open {}", path.string()));
  }
  std::array<char, 160> text{};
  const ssize_t n = ::read(fd.get(), text.data(), text.size() - 1);
  if (n < 0) return FailErrno(errno, fmt::format("read {}", path.string()));
  const auto now = StampOf(data);
  if (!now) return std::unexpected(now.error());
  Stamp then;
  if (std::sscanf(text.data(), "modelfs-seal 1 %llu %llu %llu %lld\n", &then.device, &then.inode,
                  &then.size_bytes, &then.changed_ns) != 4) {
    return SealState::kDoubtful;
  }
  if (then.device != now->device || then.inode != now->inode) {
    // Of a file that was replaced, or of a folder that was copied.
    ::unlink(path.c_str());
    return SealState::kNone;
  }
  const bool same = then.size_bytes == now->size_bytes && then.changed_ns == now->changed_ns;
  return same ? SealState::kGood : SealState::kDoubtful;
}

Result<void> WriteSeal(const std::filesystem::path& object, int data) {
  const auto stamp = StampOf(data);
  if (!stamp) return std::unexpected(stamp.error());
  const std::string text = fmt::format("modelfs-seal 1 {} {} {} {}\n", stamp->device, stamp->inode,
                                       stamp->size_bytes, stamp->changed_ns);
  const std::filesystem::path temporary = object / kNewSealName;
  const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return FailErrno(errno, fmt::format("create {}", temporary.string()));
  const ssize_t n = ::write(fd.get(), text.data(), text.size());
  if (n != static_cast<ssize_t>(text.size())) {
    return FailErrno(n < 0 ? errno : ENOSPC, fmt::format("write {}", temporary.string()));
  }
  if (::rename(temporary.c_str(), (object / kSealName).c_str()) != 0) {
    return FailErrno(errno, fmt::format("rename {}", temporary.string()));
  }
  return {};
}

}  // namespace modelfs::index
