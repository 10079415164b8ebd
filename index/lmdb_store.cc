#include "index/lmdb_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "index/lmdb_check.h"

namespace modelfs::index {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLargestMap = std::size_t{64} << 30;
constexpr std::size_t kStampBlock = std::size_t{1} << 20;

struct Stamp {
  std::uint64_t size = 0;
  std::uint64_t hash = 0;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

std::optional<Stamp> StampOf(const fs::path& data) {
  const Fd fd(::open(data.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  const Handle<XXH3_state_t, XXH3_freeState> state(XXH3_createState());
  XXH3_64bits_reset(state.get());
  std::vector<std::byte> block(kStampBlock);
  Stamp stamp;
  for (;;) {
    const ssize_t n = ::read(fd.get(), block.data(), block.size());
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    XXH3_64bits_update(state.get(), block.data(), static_cast<std::size_t>(n));
    stamp.size += static_cast<std::uint64_t>(n);
  }
  stamp.hash = XXH3_64bits_digest(state.get());
  return stamp;
}

/// Nullopt when there is none, as after a kill.
std::optional<Stamp> ReadStamp(const fs::path& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  Stamp stamp;
  if (!fd || ::read(fd.get(), &stamp, sizeof stamp) != sizeof stamp) return std::nullopt;
  return stamp;
}

void WriteStamp(const fs::path& file, const Stamp& stamp) {
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (fd && ::write(fd.get(), &stamp, sizeof stamp) != sizeof stamp) ::unlink(file.c_str());
}

/// What an index that was good before should live through.
bool MayPass(int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EROFS:
    case EIO:
    case ESTALE:
    case EMFILE:
    case ENFILE:
    case ENOMEM: return true;
    default: return false;
  }
}

}  // namespace

std::unexpected<Error> LmdbError(std::string_view operation, int rc) {
  const Errc code = [rc] {
    switch (rc) {
      case MDB_NOTFOUND: return Errc::kNotFound;
      case MDB_MAP_FULL: return Errc::kNoSpace;
      case MDB_CORRUPTED:
      case MDB_PAGE_NOTFOUND:
      case MDB_PANIC:
      case MDB_INVALID:
      case MDB_VERSION_MISMATCH:
      case MDB_INCOMPATIBLE:
      case MDB_BAD_VALSIZE: return Errc::kCorrupt;
      default: return rc > 0 ? FromErrno(rc) : Errc::kIo;
    }
  }();
  return Fail(code, fmt::format("index {}: {}", operation, mdb_strerror(rc)));
}

void LmdbStore::SetAside(const fs::path& directory, std::string_view reason) {
  spdlog::warn("index.damaged directory={} reason=\"{}\" mend=\"rebuilt from the map files\"",
               directory.string(), reason);
  const fs::path data = directory / "data.mdb";
  std::error_code error;
  // One generation is enough to look into; older ones only take space.
  fs::rename(data, directory / "data.mdb.damaged", error);
  if (error) fs::remove(data, error);
  fs::remove(directory / "lock.mdb", error);
  fs::remove(directory / "stamp", error);
}

Result<std::unique_ptr<LmdbStore>> LmdbStore::Open(const fs::path& directory,
                                                   std::size_t map_bytes) {
  std::error_code error;
  const bool existed = fs::exists(directory / "data.mdb", error) ||
                       fs::exists(directory / "data.mdb.damaged", error);
  fs::create_directories(directory, error);
  if (error) {
    return FailErrno(error.value(), fmt::format("create {}", directory.string()));
  }
  std::unique_ptr<LmdbStore> store(new LmdbStore(directory, map_bytes));
  const fs::path data = directory / "data.mdb";
  const fs::path stamp_file = directory / "stamp";
  store->existed_ = existed;
  if (const auto stamp = ReadStamp(stamp_file); stamp) {
    store->was_closed_ = true;
    ::unlink(stamp_file.c_str());
    if (StampOf(data) != stamp) SetAside(directory, "changed since it was closed");
  } else if (store->mark_.HopelessIndex()) {
    SetAside(directory, "one process after the other died in it");
  } else if (const auto sound = CheckLmdbFile(data);
             !sound && sound.error().code == Errc::kCorrupt) {
    struct ::stat info{};
    const bool made = ::stat(data.c_str(), &info) == 0 && info.st_size > 0;
    if (made) SetAside(directory, sound.error().what);
  }
  if (store->was_closed_ || store->mark_.HopelessIndex()) store->mark_.Forget();
  MutexLock lock(store->growing_);
  auto opened = store->TryOpen();
  if (!opened && opened.error().code == Errc::kCorrupt) {
    store->env_.reset();
    SetAside(directory, opened.error().what);
    opened = store->TryOpen();
  }
  if (!opened) store->env_.reset();
  lock.Unlock();
  if (opened) return store;
  if (!existed || !MayPass(store->open_code_)) return std::unexpected(std::move(opened.error()));
  spdlog::warn("index.unreadable what=\"{}\"", opened.error().what);
  return store;
}

Result<void> LmdbStore::TryOpen() {
  MDB_env* raw = nullptr;
  if (const int rc = mdb_env_create(&raw); rc != 0) return LmdbError("create", rc);
  env_.reset(raw);
  mdb_env_set_maxdbs(raw, 5);
  mdb_env_set_mapsize(raw, map_bytes_);
  mark_.Enter();
  int rc = mdb_env_open(raw, directory_.c_str(), MDB_NOTLS | MDB_NOMETASYNC, 0600);
  open_code_ = rc;
  if (rc != 0) {
    mark_.Leave();
    // What cannot be read is as good as damaged; what cannot be had now is not.
    if (rc == EIO) rc = MDB_CORRUPTED;
    return LmdbError(fmt::format("open {}", directory_.string()), rc);
  }
  // A cut file would be a SIGBUS at the first touch of the missing pages.
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(raw, &info);
  mdb_env_stat(raw, &stat);
  struct ::stat file{};
  mdb_filehandle_t fd{};
  mdb_env_get_fd(raw, &fd);
  const std::uint64_t needed = (info.me_last_pgno + 1) * stat.ms_psize;
  Result<void> opened = Fail(Errc::kCorrupt, "data.mdb is cut short");
  if (::fstat(fd, &file) != 0) {
    opened = FailErrno(errno, "stat data.mdb");
  } else if (info.me_last_pgno <= 1 || static_cast<std::uint64_t>(file.st_size) >= needed) {
    opened = OpenTables();
  }
  mark_.Leave();
  return opened;
}

Result<void> LmdbStore::OpenTables() {
  const int rc = WriteOnce([this](MDB_txn* txn) {
    constexpr std::array<const char*, 5> kNames{"meta", "objects", "chunks", "records", "sums"};
    for (std::size_t i = 0; i < kNames.size(); ++i) {
      if (const int opened = mdb_dbi_open(txn, kNames[i], MDB_CREATE, &tables_[i]); opened != 0) {
        return opened;
      }
    }
    return 0;
  });
  open_code_ = rc;
  if (rc != 0) return LmdbError("open tables", rc);
  return {};
}

Result<void> LmdbStore::Read(const Body& body) const {
  const MutexLock lock(growing_);
  if (!env_) return Fail(Errc::kIo, "index: not open");
  if (reader_) {
    if (const int rc = mdb_txn_renew(reader_.get()); rc != 0) {
      reader_.reset();
      return LmdbError("renew", rc);
    }
  } else {
    MDB_txn* raw = nullptr;
    if (const int rc = mdb_txn_begin(env_.get(), nullptr, MDB_RDONLY, &raw); rc != 0) {
      return LmdbError("begin", rc);
    }
    reader_.reset(raw);
  }
  const int rc = body(reader_.get());
  mdb_txn_reset(reader_.get());
  if (rc != 0) return LmdbError("read", rc);
  return {};
}

int LmdbStore::WriteOnce(const Body& body) {
  MDB_txn* raw = nullptr;
  if (const int rc = mdb_txn_begin(env_.get(), nullptr, 0, &raw); rc != 0) return rc;
  LmdbTxn txn(raw);
  if (const int rc = body(raw); rc != 0) return rc;
  return mdb_txn_commit(txn.release());
}

Result<void> LmdbStore::Write(const Body& body) {
  for (bool reopened = false;;) {
    if (!env_) {
      reopened = true;
      if (auto opened = Reopen(); !opened) return opened;
    }
    mark_.Enter();
    const int rc = WriteOnce(body);
    mark_.Leave();
    if (rc == 0) return {};
    if (rc == MDB_MAP_FULL) {
      if (auto grown = Grow(); !grown) return grown;
    } else if (rc == MDB_PANIC && !reopened) {
      // A head that could not be written: LMDB writes nothing more until it is opened again.
      reopened = true;
      if (auto opened = Reopen(); !opened) return opened;
    } else {
      return LmdbError("write", rc);
    }
  }
}

Result<void> LmdbStore::Reopen() {
  const MutexLock lock(growing_);
  reader_.reset();
  env_.reset();
  auto opened = TryOpen();
  if (!opened) env_.reset();  // Tried again by the next who writes.
  return opened;
}

Result<void> LmdbStore::Grow() {
  const MutexLock lock(growing_);
  reader_.reset();
  MDB_envinfo info{};
  mdb_env_info(env_.get(), &info);
  if (info.me_mapsize >= kLargestMap) return LmdbError("grow", MDB_MAP_FULL);
  if (const int rc = mdb_env_set_mapsize(env_.get(), info.me_mapsize * 2); rc != 0) {
    env_.reset();  // It has no map at all now.
    return LmdbError("grow", rc);
  }
  spdlog::info("index.grown bytes={}", info.me_mapsize * 2);
  return {};
}

void LmdbStore::Close(Stamping stamping) {
  LmdbEnv env;
  {
    const MutexLock lock(growing_);
    if (!env_) return;
    reader_.reset();
    env = std::move(env_);
  }
  const bool synced = mdb_env_sync(env.get(), 1) == 0;
  env.reset();
  mark_.Remove();
  if (!synced || stamping == Stamping::kNo) return;
  if (const auto stamp = StampOf(directory_ / "data.mdb"); stamp) {
    WriteStamp(directory_ / "stamp", *stamp);
  }
}

}  // namespace modelfs::index
