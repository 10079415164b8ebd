#include "index/local_tier.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <string_view>
#include <system_error>

namespace modelfs::index {
namespace {

namespace fs = std::filesystem;

/// "" for a file that is not there; `error_number` tells why another could not be read.
std::string ReadSmall(const fs::path& path, int& error_number) {
  error_number = 0;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno != ENOENT) error_number = errno;
    return {};
  }
  std::string text(256, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t n = ::read(fd.get(), text.data() + size, text.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error_number = errno;
    if (n <= 0) break;
    size += static_cast<std::size_t>(n);
  }
  text.resize(error_number == 0 ? size : 0);
  return text;
}

std::uint64_t BootHash() {
  int ignored = 0;
  const std::string id = ReadSmall("/proc/sys/kernel/random/boot_id", ignored);
  return XXH3_64bits(id.data(), id.size());
}

std::unexpected<Error> Unusable(const fs::path& directory, int error_number,
                                std::string_view what) {
  const Errc code = FromErrno(error_number);
  const std::string_view mend =
      code == Errc::kDenied    ? "give its owner write access, or choose another with --cache"
      : code == Errc::kNoSpace ? "free some space, or choose another with --cache"
                               : "check the disk, or choose another with --cache";
  return Fail(code, fmt::format("cache directory {}: {}: {}; {}", directory.string(), what,
                                std::generic_category().message(error_number), mend));
}

/// create_directories with a mode of our own for what is made here.
int MakeDirectories(const fs::path& directory) {
  if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) {
    struct stat info{};
    if (::stat(directory.c_str(), &info) != 0) return errno;
    return S_ISDIR(info.st_mode) ? 0 : ENOTDIR;
  }
  if (errno != ENOENT || !directory.has_parent_path()) return errno;
  if (const int rc = MakeDirectories(directory.parent_path()); rc != 0) return rc;
  return ::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST ? 0 : errno;
}

int WriteFormat(const fs::path& directory, std::uint64_t chunk_size_bytes) {
  const fs::path temporary = directory / "FORMAT.new";
  const std::string text =
      fmt::format("modelfs-cache {}\nchunk_size {}\n", LocalTier::kFormat, chunk_size_bytes);
  const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return errno;
  const ssize_t n = ::write(fd.get(), text.data(), text.size());
  if (n != static_cast<ssize_t>(text.size())) return n < 0 ? errno : ENOSPC;
  if (::fsync(fd.get()) != 0) return errno;
  return ::rename(temporary.c_str(), (directory / "FORMAT").c_str()) == 0 ? 0 : errno;
}

/// Finds out whether files can be made and written, which access() does not tell for certain.
int ProbeWrite(const fs::path& directory) {
  const fs::path probe = directory / ".probe";
  const Fd fd(::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return errno;
  const ssize_t n = ::write(fd.get(), "x", 1);
  const int error_number = n == 1 ? 0 : (n < 0 ? errno : ENOSPC);
  ::unlink(probe.c_str());
  return error_number;
}

bool IsChunkSize(std::uint64_t bytes) {
  return std::has_single_bit(bytes) && bytes >= (256u << 10) && bytes <= (16u << 20);
}

/// What a cache that was good before should live through.
bool MayPass(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case EIO:
    case ESTALE:
    case EMFILE:
    case ENFILE: return true;
    default: return false;
  }
}

}  // namespace

LocalTier::LocalTier(fs::path directory, std::uint64_t chunk_size_bytes, DirectWrites direct_writes)
    : directory_(std::move(directory)),
      chunk_size_bytes_(chunk_size_bytes),
      direct_writes_(direct_writes),
      boot_hash_(BootHash()) {}

Result<LocalTier> LocalTier::Open(const fs::path& directory, std::uint64_t chunk_size_bytes,
                                  DirectWrites direct_writes) {
  if (!IsChunkSize(chunk_size_bytes)) {
    return Fail(Errc::kInvalid, fmt::format("chunk size {}: must be a power of two from 256KiB to "
                                            "16MiB",
                                            chunk_size_bytes));
  }
  if (const int rc = MakeDirectories(directory); rc != 0) return Unusable(directory, rc, "create");
  bool current = false;
  int unreadable = 0;
  const std::string format = ReadSmall(directory / "FORMAT", unreadable);
  // Never written over: it may be of another version, or of another chunk size.
  if (unreadable != 0) return Unusable(directory, unreadable, "read FORMAT");
  if (!format.empty()) {
    unsigned version = 0;
    unsigned long long chunk = 0;
    const int fields =
        std::sscanf(format.c_str(), "modelfs-cache %u\nchunk_size %llu\n", &version, &chunk);
    if (fields >= 1 && (version < kOldestFormat || version > kFormat)) {
      return Fail(Errc::kInvalid,
                  fmt::format("cache directory {} has format {}, this program knows formats {} to "
                              "{}; use the program that made it, or another directory with --cache",
                              directory.string(), version, kOldestFormat, kFormat));
    }
    if (fields != 2 || !IsChunkSize(chunk)) {
      return Fail(Errc::kInvalid,
                  fmt::format("cache directory {}: FORMAT is not one of ours (format {}); choose "
                              "another with --cache",
                              directory.string(), kFormat));
    }
    chunk_size_bytes = chunk;
    current = version == kFormat;
  }
  std::optional<Error> trouble;
  if (const int rc = ProbeWrite(directory); rc != 0) {
    auto unusable = Unusable(directory, rc, "write");
    if (!current || !MayPass(rc)) return unusable;
    trouble = std::move(unusable.error());
  }
  struct statvfs space{};
  if (::statvfs(directory.c_str(), &space) != 0) return Unusable(directory, errno, "statvfs");
  if (!current && space.f_bavail * space.f_frsize < kLeastFreeBytes) {
    return Unusable(directory, ENOSPC,
                    fmt::format("{} bytes free, at least {} needed",
                                space.f_bavail * space.f_frsize, kLeastFreeBytes));
  }
  if (const int rc = MakeDirectories(directory / "objects"); rc != 0) {
    return Unusable(directory, rc, "create objects");
  }
  // What format 1 has is read as it is; what format 2 adds, a program of format 1 would not heed.
  if (!current) {
    if (const int rc = WriteFormat(directory, chunk_size_bytes); rc != 0) {
      return Unusable(directory, rc, "write FORMAT");
    }
  }
  LocalTier tier(directory, chunk_size_bytes, direct_writes);
  tier.trouble_ = std::move(trouble);
  return tier;
}

fs::path LocalTier::PathOf(const std::string& digest) const {
  return directory_ / "objects" / digest.substr(0, 2) / digest;
}

Result<void> LocalTier::OpenData(const fs::path& path, std::uint64_t size_bytes,
                                 ObjectFiles& files) const {
  files.data.Reset(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!files.data) return FailErrno(errno, fmt::format("open {}", path.string()));
  struct stat info{};
  if (::fstat(files.data.get(), &info) != 0) {
    return FailErrno(errno, fmt::format("stat {}", path.string()));
  }
  // Only ever grown: a file that was mapped through the kernel must not be cut.
  if (static_cast<std::uint64_t>(info.st_size) < size_bytes &&
      ::ftruncate(files.data.get(), static_cast<off_t>(size_bytes)) != 0) {
    return FailErrno(errno, fmt::format("size {}", path.string()));
  }
  return {};
}

Result<ObjectFiles> LocalTier::OpenObject(const fetch::ObjectId& id) const {
  const fs::path path = PathOf(id.Digest());
  ::unlink((path / "map.new").c_str());  // What a loss of power may leave.
  auto map = MapFile::Open(path / "map");
  if (!map) {
    if (map.error().code != Errc::kCorrupt) return std::unexpected(std::move(map.error()));
    return Fail(Errc::kNotFound, std::move(map.error().what));
  }
  if (map->header().id != id || map->header().chunk_size_bytes != chunk_size_bytes_) {
    return Fail(Errc::kNotFound, fmt::format("{}: map of another object", path.string()));
  }
  ObjectFiles files{.data = {}, .direct = {}, .map = std::move(*map)};
  if (auto opened = OpenData(path / "data", id.size_bytes, files); !opened) {
    return std::unexpected(std::move(opened.error()));
  }
  auto seal = ReadSeal(path, files.data.get());
  if (!seal) return std::unexpected(std::move(seal.error()));
  files.seal = *seal;
  return files;
}

Result<ObjectFiles> LocalTier::CreateObject(const fetch::ObjectId& id) const {
  const std::string digest = id.Digest();
  if (auto existing = OpenObject(id); existing && existing->seal != SealState::kNone) {
    if (auto removed = RemoveObject(digest); !removed) {
      return std::unexpected(std::move(removed.error()));
    }
  } else if (existing || existing.error().code != Errc::kNotFound) {
    return existing;
  }
  const fs::path path = PathOf(digest);
  if (const int rc = MakeDirectories(path); rc != 0) {
    return FailErrno(rc, fmt::format("create {}", path.string()));
  }
  // Data before map: a map never speaks of a file that is not there. Data without a map may still
  // be mapped by a reader through the kernel, so it is left behind, not written over.
  ::unlink((path / "data").c_str());
  const Fd data(::open((path / "data").c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!data) return FailErrno(errno, fmt::format("create {}", path.string()));
  auto map = MapFile::Create(path / "map", id, chunk_size_bytes_);
  if (!map) return std::unexpected(std::move(map.error()));
  ObjectFiles files{.data = {}, .direct = {}, .map = std::move(*map)};
  if (auto opened = OpenData(path / "data", id.size_bytes, files); !opened) {
    return std::unexpected(std::move(opened.error()));
  }
  return files;
}

Fd LocalTier::OpenDirect(const std::string& digest) const {
  if (direct_writes_ == DirectWrites::kOff) return {};
  return Fd(::open((PathOf(digest) / "data").c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
}

Result<void> LocalTier::WriteSeal(const std::string& digest, int data) const {
  return index::WriteSeal(PathOf(digest), data);
}

Result<Fd> LocalTier::OpenSealed(const std::string& digest, int data) const {
  const fs::path path = PathOf(digest) / "data";
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return FailErrno(errno, fmt::format("open {}", path.string()));
  struct stat opened{};
  struct stat known{};
  if (::fstat(fd.get(), &opened) != 0 || ::fstat(data, &known) != 0) {
    return FailErrno(errno, fmt::format("stat {}", path.string()));
  }
  if (opened.st_ino != known.st_ino || opened.st_dev != known.st_dev) {
    return Fail(Errc::kNotFound, fmt::format("{}: was replaced", path.string()));
  }
  return fd;
}

Result<MapFile> LocalTier::OpenMap(const std::string& digest) const {
  return MapFile::Open(PathOf(digest) / "map");
}

namespace {

std::uint64_t BlocksOf(const struct stat& info) {
  return static_cast<std::uint64_t>(info.st_blocks) * 512;
}

}  // namespace

Result<void> LocalTier::RemoveObject(const std::string& digest) const {
  const fs::path path = PathOf(digest);
  // The map first: it never speaks of data that is not there. The seal last: as long as there is
  // data, it is known that somebody may be reading it.
  for (const char* name : {"map", "data", "map.new", kSealName, "sealed.new"}) {
    if (::unlink((path / name).c_str()) != 0 && errno != ENOENT) {
      return FailErrno(errno, fmt::format("remove {}", (path / name).string()));
    }
  }
  ::rmdir(path.c_str());  // Stays where there is a pin.
  return {};
}

std::optional<std::uint64_t> LocalTier::AllocatedBytes(const std::string& digest) const {
  const fs::path path = PathOf(digest);
  std::uint64_t bytes = 0;
  for (const char* name : {"map", "data"}) {
    struct stat info{};
    if (::stat((path / name).c_str(), &info) == 0) {
      bytes += BlocksOf(info);
    } else if (errno != ENOENT) {
      return std::nullopt;
    }
  }
  return bytes;
}

std::optional<std::uint64_t> LocalTier::AllocatedBytes(const ObjectFiles& files) {
  std::uint64_t bytes = 0;
  for (const int fd : {files.data.get(), files.map.fd()}) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) return std::nullopt;
    bytes += BlocksOf(info);
  }
  return bytes;
}

Result<void> LocalTier::SetPinned(const std::string& digest, bool pinned) const {
  const fs::path path = PathOf(digest);
  if (pinned) {
    if (const int rc = MakeDirectories(path); rc != 0) {
      return FailErrno(rc, fmt::format("pin: create {}", path.string()));
    }
    const Fd pin(::open((path / "pin").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!pin) return FailErrno(errno, fmt::format("pin {}", path.string()));
  } else if (::unlink((path / "pin").c_str()) != 0 && errno != ENOENT) {
    return FailErrno(errno, fmt::format("unpin {}", path.string()));
  }
  const Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory && ::fsync(directory.get()) != 0) {
    return FailErrno(errno, fmt::format("pin: sync {}", path.string()));
  }
  if (!pinned) ::rmdir(path.c_str());  // Was pinned before anything was cached.
  return {};
}

bool LocalTier::IsPinned(const std::string& digest) const {
  return ::access((PathOf(digest) / "pin").c_str(), F_OK) == 0;
}

std::optional<std::uint64_t> LocalTier::FreeBytes() const {
  struct statvfs space{};
  if (::statvfs(directory_.c_str(), &space) != 0) return std::nullopt;
  return space.f_bavail * space.f_frsize;
}

bool LocalTier::Probe() const {
  return FreeBytes().value_or(0) >= 4 * chunk_size_bytes_ && ProbeWrite(directory_) == 0;
}

void LocalTier::ForEachObject(const std::function<void(const std::string& digest)>& each) const {
  std::error_code error;
  for (fs::directory_iterator outer(directory_ / "objects", error), end; !error && outer != end;
       outer.increment(error)) {
    std::error_code inner_error;
    for (fs::directory_iterator inner(outer->path(), inner_error); !inner_error && inner != end;
         inner.increment(inner_error)) {
      each(inner->path().filename().string());
    }
  }
}

}  // namespace modelfs::index
