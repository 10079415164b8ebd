#include "fetch/dir/dir_lister.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "fetch/base/handle.h"
#include "fetch/base/percent.h"
#include "fetch/dir/beneath.h"
#include "fetch/dir/dir_reader.h"

namespace modelfs::fetch {
namespace {

using Directory = Handle<DIR, ::closedir>;
using Inode = std::pair<dev_t, ino_t>;
constexpr std::size_t kNamedSkips = 5;

std::optional<struct stat> StatBeneath(int root, const std::string& path) {
  const Result<Fd> fd = OpenBeneath(root, path, O_PATH);
  struct stat status{};
  if (!fd || ::fstat(fd->get(), &status) != 0) return std::nullopt;
  return status;
}

// The directories that `directory` passes, root and itself included, links resolved.
std::vector<Inode> Ancestors(int root, const std::string& directory) {
  std::vector<Inode> out;
  const auto add = [&](const std::string& path) {
    if (const auto status = StatBeneath(root, path))
      out.emplace_back(status->st_dev, status->st_ino);
  };
  add("");
  for (std::size_t slash = directory.find('/'); slash != std::string::npos;
       slash = directory.find('/', slash + 1)) {
    add(directory.substr(0, slash));
  }
  return out;
}

Entry FileEntry(std::string name, const struct stat& status) {
  const auto modified = std::chrono::seconds(status.st_mtim.tv_sec) +
                        std::chrono::nanoseconds(status.st_mtim.tv_nsec);
  return {.name = std::move(name),
          .kind = Entry::Kind::kFile,
          .size_bytes = static_cast<std::uint64_t>(status.st_size),
          .modified = std::chrono::system_clock::time_point(modified),
          .tag = DirTag(status)};
}

// What `name` in an open directory is, or nullopt for what is hidden.
std::optional<Entry> Describe(int root, int directory_fd, const std::string& directory,
                              const std::string& name,
                              std::optional<std::vector<Inode>>& ancestors) {
  struct stat status{};
  if (::fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  const bool link = S_ISLNK(status.st_mode);
  if (link) {
    const auto target = StatBeneath(root, directory + name);
    if (!target) return std::nullopt;
    status = *target;
  }
  if (S_ISREG(status.st_mode)) return FileEntry(name, status);
  if (!S_ISDIR(status.st_mode)) return std::nullopt;
  if (link) {
    if (!ancestors) ancestors = Ancestors(root, directory);
    if (std::ranges::find(*ancestors, Inode(status.st_dev, status.st_ino)) != ancestors->end())
      return std::nullopt;
  }
  Entry entry = FileEntry(name, status);
  entry.kind = Entry::Kind::kDirectory;
  entry.size_bytes = 0;
  entry.tag.clear();
  return entry;
}

}  // namespace

Result<Listing> ListDirectory(const std::string& root, const std::string& directory,
                              const std::stop_token& stop) {
  const std::string what = fmt::format("list dir:{}/{}", Printable(root), Printable(directory));
  const Fd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return FailErrno(errno, what);
  Result<Fd> fd = OpenBeneath(top.get(), directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return Fail(fd.error().code, what + ": " + fd.error().what);
  const int directory_fd = fd->get();
  Directory stream(::fdopendir(directory_fd));
  if (!stream) return FailErrno(errno, what);
  static_cast<void>(fd->Release());  // The stream's now.

  Listing listing;
  std::optional<std::vector<Inode>> ancestors;
  std::vector<std::string> hidden;
  std::size_t hidden_count = 0;
  while (!stop.stop_requested()) {
    errno = 0;
    const dirent* item = ::readdir(stream.get());
    if (item == nullptr) {
      if (errno != 0) return FailErrno(errno, what);
      break;
    }
    const std::string name = item->d_name;
    if (name == "." || name == "..") continue;
    if (auto entry = Describe(top.get(), directory_fd, directory, name, ancestors)) {
      listing.entries.push_back(std::move(*entry));
    } else if (++hidden_count; hidden.size() < kNamedSkips) {
      hidden.push_back(Printable(name, 128));
    }
  }
  if (stop.stop_requested()) return Fail(Errc::kCancelled, what + ": cancelled");
  if (hidden_count > 0) {
    spdlog::warn(
        "dir.names_hidden where=\"{}\" count={} why=\"special file, or a link out of the root or "
        "in "
        "circles\" names=\"{}\"",
        what, hidden_count, fmt::join(hidden, "\", \""));
  }
  std::ranges::sort(listing.entries, {}, &Entry::name);
  return listing;
}

}  // namespace modelfs::fetch
