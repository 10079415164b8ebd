// The C library's calls, with a watcher in front. Nothing here may call what it replaces by its
// plain name.
#include "tests/fault/disk/disk_calls.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstring>
#include <vector>

#include "tests/fault/disk/disk_calls_real.h"

namespace modelfs::test {
namespace {

std::atomic<DiskWatcher*> g_watcher{nullptr};
std::array<char, PATH_MAX> g_directory{};
std::array<char, PATH_MAX> g_boot_id{};
constexpr int kMomentMs = 20;

bool Below(const char* path) {
  const std::size_t n = std::strlen(g_directory.data());
  return n > 0 && std::strncmp(path, g_directory.data(), n) == 0 &&
         (path[n] == '/' || path[n] == '\0');
}

}  // namespace

void WatchDisk(DiskWatcher* watcher, const std::filesystem::path& directory) {
  g_watcher = nullptr;
  std::strncpy(g_directory.data(), directory.c_str(), g_directory.size() - 1);
  g_watcher = watcher;
}

void UseBootId(const std::filesystem::path& file) {
  std::strncpy(g_boot_id.data(), file.c_str(), g_boot_id.size() - 1);
}

DiskWatcher* WatcherOf(const char* path) {
  DiskWatcher* watcher = g_watcher.load(std::memory_order_acquire);
  return watcher != nullptr && path != nullptr && Below(path) ? watcher : nullptr;
}

DiskWatcher* WatcherOf(int fd, std::string& path) {
  DiskWatcher* watcher = g_watcher.load(std::memory_order_acquire);
  if (watcher == nullptr || fd < 0) return nullptr;
  std::array<char, 64> link{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  std::array<char, PATH_MAX> target{};
  const int before = errno;
  const ssize_t n = ::readlink(link.data(), target.data(), target.size() - 1);
  errno = before;
  if (n <= 0 || !Below(target.data())) return nullptr;
  path = target.data();
  if (path.ends_with(" (deleted)")) path.resize(path.size() - std::strlen(" (deleted)"));
  return watcher;
}

bool IsDirect(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_DIRECT) != 0;
}

void AMoment() { static_cast<void>(::poll(nullptr, 0, kMomentMs)); }

const char* BootIdFile() { return g_boot_id[0] == '\0' ? nullptr : g_boot_id.data(); }

}  // namespace modelfs::test

using modelfs::test::AMoment;
using modelfs::test::DiskCall;
using modelfs::test::DiskVerdict;
using modelfs::test::DiskWatcher;
using modelfs::test::IsDirect;
using modelfs::test::Real;
using modelfs::test::WatcherOf;
using Kind = DiskVerdict::Kind;

namespace {

template <class Call>
auto Watched(DiskWatcher* watcher, const DiskCall& call, Call run) -> decltype(run()) {
  using Value = decltype(run());
  const DiskVerdict verdict = watcher->Before(call);
  if (verdict.kind == Kind::kFail) {
    watcher->After(call, -1);
    errno = verdict.error;
    return static_cast<Value>(-1);
  }
  if (verdict.kind == Kind::kSlow) AMoment();
  const Value value = run();
  const int error = errno;
  watcher->After(call, static_cast<std::int64_t>(value));
  errno = error;
  return value;
}

/// As Watched for what moves bytes; `run` gets how many.
template <class Call>
ssize_t Moved(DiskWatcher* watcher, DiskCall call, Call run) {
  const DiskVerdict verdict = watcher->Before(call);
  if (verdict.kind == Kind::kFail) {
    watcher->After(call, -1);
    errno = verdict.error;
    return -1;
  }
  if (verdict.kind == Kind::kSlow) AMoment();
  const bool half = verdict.kind == Kind::kShort || verdict.kind == Kind::kTorn;
  if (half && call.size > 1) call.size /= 2;
  if (!call.data.empty()) call.data = call.data.first(call.size);
  const ssize_t n = run(call.size);
  const int error = errno;
  watcher->After(call, n);
  errno = verdict.kind == Kind::kTorn ? verdict.error : error;
  return verdict.kind == Kind::kTorn ? -1 : n;
}

std::span<const std::byte> BytesOf(const void* data, std::size_t size) {
  return {static_cast<const std::byte*>(data), size};
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  static const auto real = Real<int (*)(const char*, int, ...)>("open");
  va_list arguments;
  va_start(arguments, flags);
  const bool mode_given = (flags & (O_CREAT | O_TMPFILE)) != 0;
  const mode_t mode = mode_given ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const char* boot_id = modelfs::test::BootIdFile();
  if (boot_id != nullptr && std::strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
    return real(boot_id, flags, mode);
  }
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path, flags, mode);
  DiskCall call{.name = "open", .path = path, .direct = (flags & O_DIRECT) != 0};
  call.makes = (flags & O_CREAT) != 0 && ::faccessat(AT_FDCWD, path, F_OK, 0) != 0;
  if ((flags & O_TRUNC) != 0) call.name = "open_new";
  return Watched(watcher, call, [&] { return real(path, flags, mode); });
}

int open64(const char* path, int flags, ...) __attribute__((alias("open")));

int close(int fd) {
  static const auto real = Real<int (*)(int)>("close");
  std::string path;
  DiskWatcher* watcher = WatcherOf(fd, path);
  if (watcher == nullptr) return real(fd);
  const DiskCall call{.name = "close", .path = std::move(path), .fd = fd};
  const DiskVerdict verdict = watcher->Before(call);
  const int rc = real(fd);
  watcher->After(call, rc);
  if (verdict.kind != Kind::kFail) return rc;
  errno = verdict.error;
  return -1;
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto real = Real<int (*)(const char*, mode_t)>("mkdir");
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path, mode);
  return Watched(watcher, {.name = "mkdir", .path = path}, [&] { return real(path, mode); });
}

int rmdir(const char* path) noexcept {
  static const auto real = Real<int (*)(const char*)>("rmdir");
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path);
  return Watched(watcher, {.name = "rmdir", .path = path}, [&] { return real(path); });
}

int unlink(const char* path) noexcept {
  static const auto real = Real<int (*)(const char*)>("unlink");
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path);
  return Watched(watcher, {.name = "unlink", .path = path}, [&] { return real(path); });
}

/// What std::filesystem::remove calls.
int remove(const char* path) noexcept {
  static const auto real = Real<int (*)(const char*)>("remove");
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path);
  return Watched(watcher, {.name = "unlink", .path = path}, [&] { return real(path); });
}

int rename(const char* from, const char* to) noexcept {
  static const auto real = Real<int (*)(const char*, const char*)>("rename");
  DiskWatcher* watcher = WatcherOf(to);
  if (watcher == nullptr) return real(from, to);
  return Watched(watcher, {.name = "rename", .path = from, .to = to},
                 [&] { return real(from, to); });
}

int access(const char* path, int mode) noexcept {
  static const auto real = Real<int (*)(const char*, int)>("access");
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path, mode);
  return Watched(watcher, {.name = "access", .path = path}, [&] { return real(path, mode); });
}

int stat(const char* path, struct stat* info) noexcept {
  static const auto real = Real<int (*)(const char*, struct stat*)>("stat");
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path, info);
  return Watched(watcher, {.name = "stat", .path = path}, [&] { return real(path, info); });
}

int fstat(int fd, struct stat* info) noexcept {
  static const auto real = Real<int (*)(int, struct stat*)>("fstat");
  DiskCall call{.name = "fstat", .path = {}, .fd = fd};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd, info);
  return Watched(watcher, call, [&] { return real(fd, info); });
}

/// What LMDB calls, which was built with an older C library.
int __fxstat(int version, int fd, struct stat* info) {
  static const auto real = Real<int (*)(int, int, struct stat*)>("__fxstat");
  DiskCall call{.name = "fstat", .path = {}, .fd = fd};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(version, fd, info);
  return Watched(watcher, call, [&] { return real(version, fd, info); });
}

int statvfs(const char* path, struct statvfs* info) noexcept {
  static const auto real = Real<int (*)(const char*, struct statvfs*)>("statvfs");
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path, info);
  return Watched(watcher, {.name = "statvfs", .path = path}, [&] { return real(path, info); });
}

int ftruncate(int fd, off_t length) noexcept {
  static const auto real = Real<int (*)(int, off_t)>("ftruncate");
  DiskCall call{.name = "ftruncate", .path = {}, .fd = fd, .size = static_cast<size_t>(length)};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd, length);
  return Watched(watcher, call, [&] { return real(fd, length); });
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  static const auto real = Real<int (*)(int, int, off_t, off_t)>("fallocate");
  DiskCall call{.name = "fallocate",
                .path = {},
                .fd = fd,
                .offset = static_cast<std::uint64_t>(offset),
                .size = static_cast<std::size_t>(length)};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd, mode, offset, length);
  return Watched(watcher, call, [&] { return real(fd, mode, offset, length); });
}

int fsync(int fd) {
  static const auto real = Real<int (*)(int)>("fsync");
  DiskCall call{.name = "fsync", .path = {}, .fd = fd};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd);
  return Watched(watcher, call, [&] { return real(fd); });
}

int fdatasync(int fd) {
  static const auto real = Real<int (*)(int)>("fdatasync");
  DiskCall call{.name = "fdatasync", .path = {}, .fd = fd};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd);
  return Watched(watcher, call, [&] { return real(fd); });
}

void* mmap(void* address, std::size_t length, int protection, int flags, int fd,
           off_t offset) noexcept {
  DiskCall call{.name = "mmap", .path = {}, .fd = fd, .size = length};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  const auto run = [&] {
    return ::syscall(SYS_mmap, address, length, protection, flags, fd, offset);
  };
  const long at = watcher == nullptr ? run() : Watched(watcher, call, run);
  return reinterpret_cast<void*>(at);  // NOLINT(performance-no-int-to-ptr)
}

ssize_t read(int fd, void* data, std::size_t size) {
  static const auto real = Real<ssize_t (*)(int, void*, std::size_t)>("read");
  DiskCall call{.name = "read", .path = {}, .fd = fd, .size = size};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd, data, size);
  return Moved(watcher, call, [&](std::size_t n) { return real(fd, data, n); });
}

ssize_t pread(int fd, void* data, std::size_t size, off_t offset) {
  static const auto real = Real<ssize_t (*)(int, void*, std::size_t, off_t)>("pread");
  DiskCall call{.name = "pread",
                .path = {},
                .fd = fd,
                .offset = static_cast<std::uint64_t>(offset),
                .size = size};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd, data, size, offset);
  return Moved(watcher, call, [&](std::size_t n) { return real(fd, data, n, offset); });
}

ssize_t preadv2(int fd, const iovec* parts, int count, off_t offset, int flags) {
  static const auto real = Real<ssize_t (*)(int, const iovec*, int, off_t, int)>("preadv2");
  DiskCall call{.name = "preadv2",
                .path = {},
                .fd = fd,
                .offset = static_cast<std::uint64_t>(offset),
                .size = parts->iov_len};
  DiskWatcher* watcher = count == 1 ? WatcherOf(fd, call.path) : nullptr;
  if (watcher == nullptr) return real(fd, parts, count, offset, flags);
  return Moved(watcher, call, [&](std::size_t n) {
    const iovec part{parts->iov_base, n};
    return real(fd, &part, 1, offset, flags);
  });
}

ssize_t write(int fd, const void* data, std::size_t size) {
  static const auto real = Real<ssize_t (*)(int, const void*, std::size_t)>("write");
  DiskCall call{.name = "write", .path = {}, .fd = fd, .size = size, .data = BytesOf(data, size)};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd, data, size);
  call.offset = static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_CUR));
  return Moved(watcher, call, [&](std::size_t n) { return real(fd, data, n); });
}

ssize_t pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  static const auto real = Real<ssize_t (*)(int, const void*, std::size_t, off_t)>("pwrite");
  DiskCall call{.name = "pwrite",
                .path = {},
                .fd = fd,
                .offset = static_cast<std::uint64_t>(offset),
                .size = size,
                .data = BytesOf(data, size)};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd, data, size, offset);
  call.direct = IsDirect(fd);
  return Moved(watcher, call, [&](std::size_t n) { return real(fd, data, n, offset); });
}

/// LMDB's, of several pages in a row; seen as one write.
ssize_t writev(int fd, const iovec* parts, int count) {
  static const auto real = Real<ssize_t (*)(int, const iovec*, int)>("writev");
  DiskCall call{.name = "writev", .path = {}, .fd = fd};
  DiskWatcher* watcher = WatcherOf(fd, call.path);
  if (watcher == nullptr) return real(fd, parts, count);
  std::vector<std::byte> all;
  for (int i = 0; i < count; ++i) {
    const auto* begin = static_cast<const std::byte*>(parts[i].iov_base);
    all.insert(all.end(), begin, begin + parts[i].iov_len);
  }
  call.offset = static_cast<std::uint64_t>(::lseek(fd, 0, SEEK_CUR));
  call.size = all.size();
  call.data = all;
  return Moved(watcher, call, [&](std::size_t n) {
    const iovec part{all.data(), n};
    return real(fd, &part, 1);
  });
}

DIR* opendir(const char* path) {
  static const auto real = Real<DIR* (*)(const char*)>("opendir");
  DiskWatcher* watcher = WatcherOf(path);
  if (watcher == nullptr) return real(path);
  const DiskCall call{.name = "opendir", .path = path};
  const DiskVerdict verdict = watcher->Before(call);
  watcher->After(call, 0);
  if (verdict.kind != Kind::kFail) return real(path);
  errno = verdict.error;
  return nullptr;
}

}  // extern "C"
