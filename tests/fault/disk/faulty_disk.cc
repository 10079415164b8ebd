#include "tests/fault/disk/faulty_disk.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace modelfs::test {

using Kind = DiskVerdict::Kind;

FaultyDisk::FaultyDisk(std::filesystem::path directory) : directory_(std::move(directory)) {
  WatchDisk(this, directory_);
}

FaultyDisk::~FaultyDisk() { WatchDisk(nullptr, {}); }

void FaultyDisk::Arm(DiskFault fault) {
  const MutexLock lock(mutex_);
  fault_ = std::move(fault);
  armed_ = true;
  hits_ = 0;
  struck_ = 0;
}

void FaultyDisk::Heal() {
  const MutexLock lock(mutex_);
  armed_ = false;
}

std::uint64_t FaultyDisk::struck() const {
  const MutexLock lock(mutex_);
  return struck_;
}

std::map<std::string, std::uint64_t> FaultyDisk::sites() const {
  const MutexLock lock(mutex_);
  return sites_;
}

/// Folders by their place, files by their name.
std::string FaultyDisk::SiteOf(const DiskCall& call) const {
  const std::string root = directory_.string();
  std::string rest = call.path.size() > root.size() ? call.path.substr(root.size() + 1) : "";
  std::string kind = rest;
  if (rest.starts_with("objects/")) {
    const std::string inner = rest.substr(std::strlen("objects/"));
    const auto file = inner.find('/', 3);
    if (inner.size() <= 2) {
      kind = "shard";
    } else if (file == std::string::npos) {
      kind = "object";
    } else {
      kind = inner.substr(file + 1);
    }
  } else if (rest.empty()) {
    kind = "cache";
  } else if (const auto slash = rest.rfind('/'); slash != std::string::npos) {
    kind = rest.substr(slash + 1);
  }
  return std::string(call.name) + " " + kind + (call.direct ? " direct" : "");
}

DiskVerdict FaultyDisk::Before(const DiskCall& call) {
  const std::string site = SiteOf(call);
  const MutexLock lock(mutex_);
  ++sites_[site];
  if (!armed_ || fault_.site != site) return {};
  ++hits_;
  if (hits_ < fault_.first) return {};
  if (fault_.count > 0 && hits_ >= fault_.first + fault_.count) return {};
  ++struck_;
  return fault_.verdict;
}

std::vector<DiskVerdict> FaultsOf(std::string_view call) {
  const auto fail = [](int error) { return DiskVerdict{Kind::kFail, error}; };
  const DiskVerdict half{Kind::kShort, 0};
  const DiskVerdict slow{Kind::kSlow, 0};
  if (call == "pwrite" || call == "write" || call == "writev" || call == "uring_write") {
    return {fail(ENOSPC), fail(EDQUOT), fail(EIO),          fail(ESTALE),
            fail(EROFS),  half,         {Kind::kTorn, EIO}, slow};
  }
  if (call == "pread" || call == "read" || call == "preadv2" || call == "uring_read") {
    return {fail(EIO), fail(ESTALE), half, slow};
  }
  if (call == "open" || call == "open_new" || call == "opendir") {
    return {fail(ENOSPC), fail(EDQUOT), fail(EIO), fail(ESTALE), fail(EROFS), fail(EMFILE), slow};
  }
  if (call == "mmap") return {fail(ENOMEM), fail(EMFILE)};
  if (call == "stat" || call == "fstat" || call == "statvfs" || call == "access") {
    return {fail(EIO), fail(ESTALE)};
  }
  if (call == "close") return {fail(EIO), fail(ENOSPC), fail(EDQUOT), fail(ESTALE)};
  // mkdir, rename, unlink, rmdir, ftruncate, fallocate, fsync, fdatasync
  return {fail(ENOSPC), fail(EDQUOT), fail(EIO), fail(ESTALE), fail(EROFS), slow};
}

std::string NameOf(const DiskVerdict& verdict) {
  switch (verdict.kind) {
    case Kind::kPass: return "none";
    case Kind::kFail: return strerrorname_np(verdict.error);
    case Kind::kShort: return "short";
    case Kind::kTorn: return "torn";
    case Kind::kSlow: return "slow";
  }
  return "";
}

}  // namespace modelfs::test
