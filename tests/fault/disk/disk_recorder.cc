#include "tests/fault/disk/disk_recorder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "fetch/base/handle.h"

namespace modelfs::test {
namespace {

namespace fs = std::filesystem;

/// statx, because the recorder sees the other calls that tell it.
std::uint64_t InodeOf(int fd) {
  struct statx info{};
  return ::statx(fd, "", AT_EMPTY_PATH, STATX_INO, &info) == 0 ? info.stx_ino : 0;
}

std::string ParentOf(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

}  // namespace

/// What a disk holds: names, and the bytes behind them.
class DiskRecorder::Image {
 public:
  Image(const fs::path& base, const std::map<std::string, FileId>& names) : names_(names) {
    for (const auto& [name, id] : names) {
      if (fs::is_directory(base / name)) {
        folders_[name] = true;
      } else {
        sources_[id] = base / name;
      }
    }
    folders_[""] = true;
  }

  void Apply(const Op& op) {
    switch (op.kind) {
      case Kind::kMake:
        if (folders_.contains(ParentOf(op.path))) names_[op.path] = op.file;
        break;
      case Kind::kMakeFolder:
        if (folders_.contains(ParentOf(op.path))) folders_[op.path] = true;
        break;
      case Kind::kRename:
        if (const auto from = names_.find(op.path); from != names_.end()) {
          names_[op.to] = from->second;
          names_.erase(op.path);
        }
        break;
      case Kind::kRemove:
        names_.erase(op.path);
        folders_.erase(op.path);
        break;
      default: changes_[op.file].push_back(&op);
    }
  }

  /// Also with writes of which only some sectors arrived.
  void Tear(const Op& op, std::mt19937_64& chance) {
    Op& part = *torn_.emplace_back(std::make_unique<Op>(op));
    // One run of whole sectors of it.
    const std::uint64_t sectors = (op.data.size() + 511) / 512;
    const std::uint64_t first = chance() % sectors;
    const std::uint64_t count = 1 + chance() % (sectors - first);
    const std::uint64_t begin = first * 512;
    const std::uint64_t end = std::min<std::uint64_t>(op.data.size(), (first + count) * 512);
    part.data.assign(op.data.begin() + static_cast<std::ptrdiff_t>(begin),
                     op.data.begin() + static_cast<std::ptrdiff_t>(end));
    part.offset = op.offset + begin;
    changes_[op.file].push_back(&part);
  }

  void Write(const fs::path& image) const {
    fs::create_directories(image);
    for (const auto& [name, is] : folders_) fs::create_directories(image / name);
    for (const auto& [name, id] : names_) {
      if (folders_.contains(name) || !folders_.contains(ParentOf(name))) continue;
      const fs::path file = image / name;
      if (const auto source = sources_.find(id); source != sources_.end()) {
        fs::copy_file(source->second, file);
      }
      const Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
      const auto changes = changes_.find(id);
      if (changes == changes_.end()) continue;
      for (const Op* op : changes->second) Change(fd.get(), *op);
    }
  }

 private:
  static void Change(int fd, const Op& op) {
    const auto offset = static_cast<off_t>(op.offset);
    const auto size = static_cast<off_t>(op.size);
    if (op.kind == Kind::kWrite) {
      static_cast<void>(::pwrite(fd, op.data.data(), op.data.size(), offset));
    } else if (op.kind == Kind::kResize) {
      static_cast<void>(::ftruncate(fd, size));
    } else if (op.kind == Kind::kPunch) {
      static_cast<void>(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size));
    }
  }

  std::map<std::string, FileId> names_;
  std::map<std::string, bool> folders_;
  std::map<FileId, fs::path> sources_;
  std::map<FileId, std::vector<const Op*>> changes_;
  std::vector<std::unique_ptr<Op>> torn_;
};

DiskRecorder::DiskRecorder(fs::path directory, fs::path base)
    : directory_(std::move(directory)), base_(std::move(base)) {
  {
    const MutexLock lock(mutex_);
    for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
      struct statx info{};
      ::statx(AT_FDCWD, entry.path().c_str(), 0, STATX_INO, &info);
      ids_[info.stx_ino] = ++last_id_;
      base_files_[Inside(entry.path().string())] = last_id_;
    }
  }
  WatchDisk(this, directory_);
}

DiskRecorder::~DiskRecorder() { WatchDisk(nullptr, {}); }

std::size_t DiskRecorder::operations() const {
  const MutexLock lock(mutex_);
  return ops_.size();
}

std::string DiskRecorder::Inside(const std::string& path) const {
  const std::size_t root = directory_.string().size();
  return path.size() > root ? path.substr(root + 1) : "";
}

DiskRecorder::FileId DiskRecorder::IdOf(int fd, bool fresh) {
  FileId& id = ids_[InodeOf(fd)];
  if (fresh || id == 0) id = ++last_id_;
  return id;
}

void DiskRecorder::After(const DiskCall& call, std::int64_t result) {
  if (result < 0) return;
  const std::string_view name = call.name;
  const MutexLock lock(mutex_);
  Op op{.kind = Kind::kSync, .path = Inside(call.path), .to = Inside(call.to)};
  if (name == "open" || name == "open_new") {
    const int fd = static_cast<int>(result);
    op.file = IdOf(fd, call.makes);
    if (call.makes) {
      op.kind = Kind::kMake;
      ops_.push_back(op);
    } else if (name == "open_new") {
      op.kind = Kind::kResize;
      ops_.push_back(op);
    }
    return;
  }
  if (call.fd >= 0) op.file = IdOf(call.fd, false);
  if (name == "mkdir") {
    op.kind = Kind::kMakeFolder;
  } else if (name == "rename") {
    op.kind = Kind::kRename;
  } else if (name == "unlink" || name == "rmdir") {
    op.kind = Kind::kRemove;
  } else if (name == "ftruncate") {
    op.kind = Kind::kResize;
    op.size = call.size;
  } else if (name == "fallocate") {
    op.kind = Kind::kPunch;
    op.offset = call.offset;
    op.size = call.size;
  } else if (name == "pwrite" || name == "write" || name == "writev") {
    op.kind = Kind::kWrite;
    op.offset = call.offset;
    op.data.assign(call.data.begin(), call.data.begin() + static_cast<std::ptrdiff_t>(result));
  } else if (name != "fsync" && name != "fdatasync") {
    return;
  }
  ops_.push_back(std::move(op));
}

void DiskRecorder::Build(const fs::path& image, std::size_t cut, double share_lost,
                         std::mt19937_64& chance) const {
  const MutexLock lock(mutex_);
  // From the end: what a sync that is still to come covers.
  std::vector<bool> synced(cut, false);
  std::map<FileId, bool> files;
  std::map<std::string, bool> folders;
  for (std::size_t i = cut; i-- > 0;) {
    const Op& op = ops_[i];
    switch (op.kind) {
      case Kind::kSync:
        files[op.file] = true;
        folders[op.path] = true;  // Of a file nobody asks for it.
        break;
      case Kind::kWrite:
      case Kind::kResize:
      case Kind::kPunch: synced[i] = files.contains(op.file); break;
      case Kind::kMake:
      case Kind::kMakeFolder:
      case Kind::kRename:
      case Kind::kRemove: synced[i] = folders.contains(ParentOf(op.path)); break;
    }
  }
  std::uniform_real_distribution<double> one(0, 1);
  Image made(base_, base_files_);
  for (std::size_t i = 0; i < cut; ++i) {
    const Op& op = ops_[i];
    if (op.kind == Kind::kSync) continue;
    if (synced[i] || one(chance) >= share_lost) {
      made.Apply(op);
    } else if (op.kind == Kind::kWrite && op.data.size() > 512 && one(chance) < 0.5) {
      made.Tear(op, chance);
    }
  }
  made.Write(image);
}

}  // namespace modelfs::test
