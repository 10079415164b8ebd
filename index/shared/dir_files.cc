#include "index/shared/dir_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "fetch/base/handle.h"
#include "index/filesystem_kind.h"

namespace modelfs::index::shared {
namespace {

constexpr mode_t kFolderMode = 02770;
constexpr mode_t kFileMode = 0660;
constexpr std::int64_t kNanos = 1'000'000'000;

using Folder = Handle<DIR, ::closedir>;

std::unexpected<Error> Failed(const char* what, const std::string& path) {
  const int error = errno;
  return FailErrno(error, fmt::format("{} {}", what, path));
}

class OpenFile final : public SharedFile {
 public:
  OpenFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> Read(std::uint64_t offset, std::span<std::byte> dst) override {
    std::size_t done = 0;
    while (done < dst.size()) {
      const ssize_t n = ::pread(fd_.get(), dst.data() + done, dst.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("read", path_);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<void> Write(std::uint64_t offset, std::span<const std::byte> src) override {
    while (!src.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), src.data(), src.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("write", path_);
      src = src.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Result<std::uint64_t> Size() override {
    struct stat facts{};
    if (::fstat(fd_.get(), &facts) != 0) return Failed("stat", path_);
    return static_cast<std::uint64_t>(facts.st_size);
  }

  Result<void> SyncAndClose() override {
    const bool synced = ::fdatasync(fd_.get()) == 0;
    const int error = errno;
    const bool closed = ::close(fd_.Release()) == 0;
    if (!synced) return FailErrno(error, fmt::format("fdatasync {}", path_));
    if (!closed) return Failed("close", path_);
    return {};
  }

 private:
  Fd fd_;
  const std::string path_;
};

}  // namespace

std::string DirFiles::Kind() { return FilesystemKindOf(directory_).name; }

Result<std::unique_ptr<SharedFile>> DirFiles::OpenToRead(const std::string& path) {
  std::string full = Full(path);
  Fd fd(::open(full.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return Failed("open", full);
  return std::make_unique<OpenFile>(std::move(fd), std::move(full));
}

Result<std::unique_ptr<SharedFile>> DirFiles::Create(const std::string& path) {
  std::string full = Full(path);
  Fd fd(::open(full.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
  if (!fd && errno == EEXIST) return nullptr;
  if (!fd) return Failed("create", full);
  // Past the umask; where a filesystem has no modes, it need not.
  std::ignore = ::fchmod(fd.get(), kFileMode);
  return std::make_unique<OpenFile>(std::move(fd), std::move(full));
}

Result<Placed> DirFiles::Link(const std::string& from, const std::string& to) {
  if (::link(Full(from).c_str(), Full(to).c_str()) == 0) return Placed::kPlaced;
  if (errno == EEXIST) return Placed::kTaken;
  if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EXDEV) errno = EINVAL;
  return Failed("link", Full(to));
}

Result<Placed> DirFiles::RenameNew(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, Full(from).c_str(), AT_FDCWD, Full(to).c_str(), RENAME_NOREPLACE) ==
      0) {
    return Placed::kPlaced;
  }
  if (errno == EEXIST) return Placed::kTaken;
  if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EXDEV) errno = EINVAL;
  return Failed("rename", Full(to));
}

Result<void> DirFiles::Rename(const std::string& from, const std::string& to) {
  if (::rename(Full(from).c_str(), Full(to).c_str()) == 0) return {};
  return Failed("rename", Full(from));
}

Result<void> DirFiles::Unlink(const std::string& path) {
  if (::unlink(Full(path).c_str()) == 0 || errno == ENOENT) return {};
  return Failed("unlink", Full(path));
}

Result<void> DirFiles::RemoveFolder(const std::string& path) {
  if (::rmdir(Full(path).c_str()) == 0 || errno == ENOENT) return {};
  return Failed("rmdir", Full(path));
}

Result<void> DirFiles::MakeFolder(const std::string& path) {
  const std::string full = Full(path);
  if (::mkdir(full.c_str(), kFolderMode) == 0) {
    std::ignore = ::chmod(full.c_str(), kFolderMode);
    return {};
  }
  if (errno == EEXIST) return {};
  if (errno != ENOENT || path.empty()) return Failed("mkdir", full);
  const std::size_t slash = path.rfind('/');
  auto parent = MakeFolder(slash == std::string::npos ? "" : path.substr(0, slash));
  if (!parent) return parent;
  if (::mkdir(full.c_str(), kFolderMode) != 0 && errno != EEXIST) return Failed("mkdir", full);
  std::ignore = ::chmod(full.c_str(), kFolderMode);
  return {};
}

Result<std::vector<std::string>> DirFiles::List(const std::string& path) {
  const std::string full = Full(path);
  const Folder folder(::opendir(full.c_str()));
  if (!folder) return Failed("list", full);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(folder.get());
    if (entry == nullptr) break;
    std::string name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  if (errno != 0) return Failed("list", full);
  return names;
}

Result<FileFacts> DirFiles::Look(const std::string& path) {
  const std::string full = Full(path);
  struct statx facts{};
  if (::statx(AT_FDCWD, full.c_str(), AT_SYMLINK_NOFOLLOW | AT_STATX_FORCE_SYNC,
              STATX_MTIME | STATX_SIZE, &facts) != 0) {
    return Failed("stat", full);
  }
  return FileFacts{.modified_ns = facts.stx_mtime.tv_sec * kNanos + facts.stx_mtime.tv_nsec,
                   .size_bytes = facts.stx_size};
}

Result<std::int64_t> DirFiles::Touch(const std::string& path) {
  const std::string full = Full(path);
  // Without times it is the server that says what the present is.
  if (::utimensat(AT_FDCWD, full.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) return Failed("touch", full);
    const Fd fd(::open(full.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode));
    if (!fd) return Failed("create", full);
    std::ignore = ::fchmod(fd.get(), kFileMode);
    if (::futimens(fd.get(), nullptr) != 0) return Failed("touch", full);
  }
  auto facts = Look(path);
  if (!facts) return std::unexpected(std::move(facts.error()));
  return facts->modified_ns;
}

Result<FilesystemSpace> DirFiles::Space() {
  struct statvfs facts{};
  if (::statvfs(directory_.c_str(), &facts) != 0) return Failed("statvfs", directory_.string());
  return FilesystemSpace{.total_bytes = std::uint64_t{facts.f_blocks} * facts.f_frsize,
                         .free_bytes = std::uint64_t{facts.f_bavail} * facts.f_frsize};
}

}  // namespace modelfs::index::shared
