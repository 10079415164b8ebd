// faulty-dir: one host's mount of a directory that others have mounted too, as network filesystems
// give it: names that others make show late, calls fail or hang, and all of it may be slow. Steered
// by a file of `key value` lines, read anew for each call:
//
//   rate BYTES       bytes per second, of reads and writes together; 0: no limit
//   delay MS         names that were made elsewhere show so long after they were first asked about
//   stale N          every Nth read fails with ESTALE
//   lost N           every Nth link is made, and fails with EIO
//   links 0          there are no hard links
//   locks 0          fcntl locks fail with ENOLCK
//   writes 0         read-only: EROFS
//   full 1           ENOSPC
//   freeze 1         nothing is answered until it is 0 again
#define FUSE_USE_VERSION 312
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fuse3/fuse.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace modelfs::test {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

class FaultyDir {
 public:
  FaultyDir(std::string directory, std::string control)
      : directory_(std::move(directory)), control_(std::move(control)) {}

  std::string Full(const char* path) const { return directory_ + path; }

  /// Waits while it is frozen; the settings of this moment.
  std::map<std::string, std::int64_t> Settings() const {
    for (;;) {
      std::map<std::string, std::int64_t> settings;
      std::ifstream in(control_);
      std::string key;
      std::int64_t value = 0;
      while (in >> key >> value) settings[key] = value;
      if (settings["freeze"] == 0) return settings;
      ::poll(nullptr, 0, 20);
    }
  }

  /// Takes its time for `bytes`, one transfer behind the other.
  void Transfer(std::uint64_t bytes, std::int64_t rate) {
    if (rate <= 0) return;
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    std::int64_t until = 0;
    {
      const std::lock_guard lock(mutex_);
      free_at_ = std::max(free_at_, now.tv_sec * kSecond + now.tv_nsec) +
                 static_cast<std::int64_t>(bytes) * kSecond / rate;
      until = free_at_;
    }
    // As slow as it is said to be: there is no condition to wait for.
    const timespec due{.tv_sec = until / kSecond, .tv_nsec = until % kSecond};
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
  }

  void MadeHere(const char* path) {
    const std::lock_guard lock(mutex_);
    made_.insert(path);
  }

  /// Whether a name that is there shows yet: so long after it was first asked about.
  bool Shows(const char* path, const struct stat& info, std::int64_t delay_ms) {
    if (delay_ms <= 0 || S_ISDIR(info.st_mode)) return true;
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const std::int64_t now_ms = now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
    const std::lock_guard lock(mutex_);
    return made_.contains(path) ||
           now_ms - asked_.try_emplace(path, now_ms).first->second >= delay_ms;
  }

  bool EveryNth(std::atomic<std::int64_t>& counter, std::int64_t n) const {
    return n > 0 && ++counter % n == 0;
  }
  std::atomic<std::int64_t> reads{0};
  std::atomic<std::int64_t> links{0};

 private:
  const std::string directory_;
  const std::string control_;
  std::mutex mutex_;
  std::int64_t free_at_ = 0;  ///< CLOCK_MONOTONIC, ns.
  std::set<std::string> made_;
  std::map<std::string, std::int64_t> asked_;  ///< When first, of names that others made.
};

FaultyDir& Here() { return *static_cast<FaultyDir*>(fuse_get_context()->private_data); }

int Errno(int result) { return result < 0 ? -errno : result; }

/// 0, or why nothing can be written now.
int Refusal(std::map<std::string, std::int64_t>& settings, bool grows) {
  if (settings.contains("writes") && settings["writes"] == 0) return -EROFS;
  return grows && settings["full"] != 0 ? -ENOSPC : 0;
}

int GetAttr(const char* path, struct stat* info, fuse_file_info* file) {
  auto settings = Here().Settings();
  if (file != nullptr) return Errno(::fstat(static_cast<int>(file->fh), info));
  if (::lstat(Here().Full(path).c_str(), info) != 0) return -errno;
  return Here().Shows(path, *info, settings["delay"]) ? 0 : -ENOENT;
}

int ReadDir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/,
            fuse_file_info* /*file*/, fuse_readdir_flags /*flags*/) {
  auto settings = Here().Settings();
  DIR* folder = ::opendir(Here().Full(path).c_str());
  if (folder == nullptr) return -errno;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = static_cast<const char*>(entry->d_name);
    const std::string inside = std::string(path) == "/" ? "/" + name : path + ("/" + name);
    struct stat info{};
    if (::lstat(Here().Full(inside.c_str()).c_str(), &info) != 0) continue;
    if (!Here().Shows(inside.c_str(), info, settings["delay"])) continue;
    fill(buffer, name.c_str(), nullptr, 0, static_cast<fuse_fill_dir_flags>(0));
  }
  ::closedir(folder);
  return 0;
}

int Open(const char* path, fuse_file_info* file) {
  auto settings = Here().Settings();
  const bool writes = (file->flags & O_ACCMODE) != O_RDONLY;
  if (const int refused = writes ? Refusal(settings, false) : 0; refused != 0) return refused;
  const int fd = ::open(Here().Full(path).c_str(), (file->flags & ~O_EXCL) | O_CLOEXEC);
  if (fd < 0) return -errno;
  file->fh = static_cast<std::uint64_t>(fd);
  file->direct_io = 1;  // No page cache hides what is slow here.
  return 0;
}

int Create(const char* path, mode_t mode, fuse_file_info* file) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, true); refused != 0) return refused;
  const int fd = ::open(Here().Full(path).c_str(), file->flags | O_CREAT | O_CLOEXEC, mode);
  if (fd < 0) return -errno;
  Here().MadeHere(path);
  file->fh = static_cast<std::uint64_t>(fd);
  file->direct_io = 1;
  return 0;
}

int Read(const char* /*path*/, char* buffer, size_t size, off_t offset, fuse_file_info* file) {
  auto settings = Here().Settings();
  if (Here().EveryNth(Here().reads, settings["stale"])) return -ESTALE;
  Here().Transfer(size, settings["rate"]);
  return Errno(static_cast<int>(::pread(static_cast<int>(file->fh), buffer, size, offset)));
}

int Write(const char* /*path*/, const char* buffer, size_t size, off_t offset,
          fuse_file_info* file) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, true); refused != 0) return refused;
  Here().Transfer(size, settings["rate"]);
  return Errno(static_cast<int>(::pwrite(static_cast<int>(file->fh), buffer, size, offset)));
}

int Release(const char* /*path*/, fuse_file_info* file) {
  ::close(static_cast<int>(file->fh));
  return 0;
}

int Sync(const char* /*path*/, int /*data*/, fuse_file_info* file) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, true); refused != 0) return refused;
  return Errno(::fdatasync(static_cast<int>(file->fh)));
}

int Link(const char* from, const char* to) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, true); refused != 0) return refused;
  if (settings.contains("links") && settings["links"] == 0) return -EOPNOTSUPP;
  if (::link(Here().Full(from).c_str(), Here().Full(to).c_str()) != 0) return -errno;
  Here().MadeHere(to);
  return Here().EveryNth(Here().links, settings["lost"]) ? -EIO : 0;
}

int Rename(const char* from, const char* to, unsigned flags) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, false); refused != 0) return refused;
  Here().MadeHere(to);
  return Errno(
      ::renameat2(AT_FDCWD, Here().Full(from).c_str(), AT_FDCWD, Here().Full(to).c_str(), flags));
}

int Unlink(const char* path) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, false); refused != 0) return refused;
  return Errno(::unlink(Here().Full(path).c_str()));
}

int MakeDir(const char* path, mode_t mode) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, true); refused != 0) return refused;
  return Errno(::mkdir(Here().Full(path).c_str(), mode));
}

int RemoveDir(const char* path) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, false); refused != 0) return refused;
  return Errno(::rmdir(Here().Full(path).c_str()));
}

int ChangeMode(const char* path, mode_t mode, fuse_file_info* /*file*/) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, false); refused != 0) return refused;
  return Errno(::chmod(Here().Full(path).c_str(), mode));
}

int SetTimes(const char* path, const timespec times[2], fuse_file_info* /*file*/) {
  auto settings = Here().Settings();
  if (const int refused = Refusal(settings, false); refused != 0) return refused;
  return Errno(::utimensat(AT_FDCWD, Here().Full(path).c_str(), times, AT_SYMLINK_NOFOLLOW));
}

int StatFs(const char* /*path*/, struct statvfs* info) {
  Here().Settings();
  return Errno(::statvfs(Here().Full("/").c_str(), info));
}

int Lock(const char* /*path*/, fuse_file_info* file, int command, struct flock* lock) {
  auto settings = Here().Settings();
  if (settings.contains("locks") && settings["locks"] == 0) return -ENOLCK;
  return Errno(::fcntl(static_cast<int>(file->fh), command, lock));
}

void* Init(fuse_conn_info* /*connection*/, fuse_config* config) {
  config->entry_timeout = 0;
  config->negative_timeout = 0;
  config->attr_timeout = 0;
  return fuse_get_context()->private_data;
}

int Serve(const std::string& directory, const std::string& control, const std::string& mountpoint) {
  fuse_operations operations{};
  operations.getattr = GetAttr;
  operations.readdir = ReadDir;
  operations.open = Open;
  operations.create = Create;
  operations.read = Read;
  operations.write = Write;
  operations.release = Release;
  operations.fsync = Sync;
  operations.link = Link;
  operations.rename = Rename;
  operations.unlink = Unlink;
  operations.mkdir = MakeDir;
  operations.rmdir = RemoveDir;
  operations.chmod = ChangeMode;
  operations.utimens = SetTimes;
  operations.statfs = StatFs;
  operations.lock = Lock;
  operations.init = Init;
  FaultyDir here(directory, control);
  std::string program = "faulty-dir";
  std::string foreground = "-f";
  std::string where = mountpoint;
  std::array<char*, 4> words{program.data(), foreground.data(), where.data(), nullptr};
  return fuse_main(3, words.data(), &operations, &here);
}

}  // namespace
}  // namespace modelfs::test

int main(int argc, char** argv) {
  std::string directory;
  std::string control;
  std::string mountpoint;
  CLI::App app("A directory as a network filesystem shows it");
  app.add_option("--control", control, "File that steers it")->required();
  app.add_option("directory", directory, "What is shown")->required();
  app.add_option("mountpoint", mountpoint, "Where")->required();
  CLI11_PARSE(app, argc, argv);
  return modelfs::test::Serve(directory, control, mountpoint);
}
