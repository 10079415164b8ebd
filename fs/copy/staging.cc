#include "fs/copy/staging.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include "fetch/base/percent.h"

namespace modelfs::fs {
namespace {

constexpr const char* kFiles = "files";
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

Result<Fd> OpenFolder(int at, const std::string& name, const std::string& what) {
  if (::mkdirat(at, name.c_str(), 0755) != 0 && errno != EEXIST) {
    return FailErrno(errno, "make the folder " + what);
  }
  Fd folder(::openat(at, name.c_str(), kFolderFlags));
  if (!folder) return FailErrno(errno, "open the folder " + what);
  return folder;
}

/// The folder that `path` names below `top`, and that of each component above; made where missing.
Result<Fd> OpenFolders(int top, std::string_view path) {
  Fd folder(::openat(top, ".", kFolderFlags));
  if (!folder) return FailErrno(errno, "open the copy");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    auto next = OpenFolder(folder.get(), std::string(path.substr(at, slash - at)),
                           Printable(path.substr(0, slash)));
    if (!next) return next;
    folder = *std::move(next);
    at = slash + 1;
  }
  return folder;
}

Result<void> SyncFolder(int fd, std::string_view what) {
  // Some network filesystems have nothing to sync here, and say so.
  if (::fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP) return {};
  return FailErrno(errno, fmt::format("sync the folder {}", Printable(what)));
}

}  // namespace

std::string Staging::Path(const std::string& parent, const std::string& name) {
  return fmt::format("{}/.{}.modelfs-copy", parent, name);
}

std::string Staging::LockPath(const std::string& parent, const std::string& name) {
  return fmt::format("{}/.{}.modelfs-lock", parent, name);
}

void Staging::Remove(const std::string& parent, const std::string& name) {
  std::error_code ignored;  // It costs space and nothing else; the next run tries again.
  std::filesystem::remove_all(Path(parent, name), ignored);
}

Result<Staging> Staging::Open(const std::string& parent, const std::string& name,
                              const std::string& identity) {
  const std::string path = Path(parent, name);
  auto directory = OpenFolder(AT_FDCWD, path, path);
  if (!directory) return std::unexpected(std::move(directory.error()));
  auto journal = CopyJournal::Open(directory->get(), identity);
  if (!journal) return std::unexpected(std::move(journal.error()));
  if (!journal->of_this_copy()) {
    // First the files: a journal that begins anew must not stand beside old ones.
    std::error_code error;
    std::filesystem::remove_all(fmt::format("{}/{}", path, kFiles), error);
    if (error) return FailErrno(error.value(), "remove what is left of another copy in " + path);
    if (auto begun = journal->Begin(); !begun) return std::unexpected(std::move(begun.error()));
  }
  auto files = OpenFolder(directory->get(), kFiles, fmt::format("{}/{}", path, kFiles));
  if (!files) return std::unexpected(std::move(files.error()));
  return Staging(parent, name, *std::move(directory), *std::move(files), *std::move(journal));
}

Result<Fd> Staging::OpenFile(const std::string& path, std::uint64_t size_bytes) const {
  const std::size_t slash = path.rfind('/');
  const std::size_t name_at = slash == std::string::npos ? 0 : slash + 1;
  const auto folder = OpenFolders(
      files_.get(), std::string_view(path).substr(0, slash == std::string::npos ? 0 : slash));
  if (!folder) return std::unexpected(folder.error());
  const std::string shown = Printable(path);
  Fd file(::openat(folder->get(), path.c_str() + name_at, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                   0644));
  if (!file) return FailErrno(errno, "make the file " + shown);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return FailErrno(errno, "look at the file " + shown);
  if (!S_ISREG(info.st_mode)) {
    return Fail(Errc::kDenied, fmt::format("make the file {}: something else is there", shown));
  }
  if (static_cast<std::uint64_t>(info.st_size) != size_bytes &&
      ::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) {
    return FailErrno(errno, fmt::format("make the file {} {} bytes long", shown, size_bytes));
  }
  return file;
}

Result<void> Staging::Publish(const CopyList& list) const {
  if (auto written = WriteCopyRecord(files_.get(), list); !written) return written;
  std::set<std::string> folders;
  for (const CopyFile& file : list.files) {
    for (std::size_t slash = file.path.rfind('/'); slash != std::string::npos;
         slash = slash == 0 ? slash : file.path.rfind('/', slash - 1)) {
      if (!folders.insert(file.path.substr(0, slash)).second) break;
    }
  }
  for (const std::string& path : folders) {
    const auto folder = OpenFolders(files_.get(), path);
    if (!folder) return std::unexpected(folder.error());
    if (auto synced = SyncFolder(folder->get(), path); !synced) return synced;
  }
  if (auto synced = SyncFolder(files_.get(), kFiles); !synced) return synced;
  const std::string place = fmt::format("{}/{}", parent_, name_);
  if (::renameat(directory_.get(), kFiles, AT_FDCWD, place.c_str()) != 0) {
    return FailErrno(errno, fmt::format("put the whole copy into its place {}", place));
  }
  const Fd parent(::open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent) return FailErrno(errno, "open " + parent_);
  return SyncFolder(parent.get(), parent_);
}

}  // namespace modelfs::fs
