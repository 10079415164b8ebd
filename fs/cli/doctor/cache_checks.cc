#include "fs/cli/doctor/cache_checks.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "fetch/base/size.h"
#include "fs/config/memory_limit.h"
#include "index/filesystem_kind.h"
#include "index/shared/dir_files.h"
#include "index/shared/shared_root.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;
using enum Finding::Level;
using index::FilesystemKind;
using Class = FilesystemKind::Class;

constexpr std::uint64_t kLeastFree = 64 * kMiB;  // What Cache::Open insists on.
constexpr std::uint64_t kLittleFree = 2 * kGiB;

/// 0, or the errno of making a folder in `directory`; access(2) knows neither of full disks nor of
/// /proc.
int TryToMakeFolder(const stdfs::path& directory) {
  std::string name = (directory / ".modelfs-doctor-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) return errno;
  ::rmdir(name.c_str());
  return 0;
}

Finding CheckFree(const std::string& subject, const stdfs::path& existing,
                  const std::string& shown) {
  struct statvfs space{};
  if (::statvfs(existing.c_str(), &space) != 0) {
    return {kFail, subject, fmt::format("{}: {}", shown, std::generic_category().message(errno)),
            "name another with --cache"};
  }
  const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
  const std::string text = fmt::format("{} can be written, {} free", shown, FormatSize(free));
  if (free < kLeastFree)
    return {kFail, subject, text + ": too little", "free space, or another --cache"};
  if (free < kLittleFree)
    return {kWarn, subject, text + ": room for small models only", "free space"};
  return {kOk, subject, text, ""};
}

Findings CheckDirectory(const std::string& subject, const char* flag,
                        const std::string& directory) {
  const stdfs::path existing = index::NearestExisting(directory);
  std::error_code error;
  if (!stdfs::is_directory(existing, error)) {
    return {{kFail, subject, fmt::format("'{}' is no directory", existing.string()),
             fmt::format("name another with {}", flag)}};
  }
  if (const int rc = TryToMakeFolder(existing); rc != 0) {
    return {{kFail, subject,
             fmt::format("'{}' cannot be written: {}", existing.string(),
                         std::generic_category().message(rc)),
             fmt::format("chown it to this user, or name another with {}", flag)}};
  }
  const bool there = existing == stdfs::path(directory);
  return {CheckFree(subject, existing, there ? directory : directory + " (to be made)")};
}

Finding CheckKind(const DaemonSpec& spec) {
  const bool apart = !spec.index_directory.empty();
  const FilesystemKind cache = index::FilesystemKindOf(spec.cache_directory);
  const FilesystemKind index = apart ? index::FilesystemKindOf(spec.index_directory) : cache;
  if (index.kind == Class::kNetwork) {
    return {kFail, "filesystem",
            fmt::format("the index would lie on {}, a network filesystem, which LMDB forbids",
                        index.name),
            "--index DIR on a local disk"};
  }
  switch (cache.kind) {
    case Class::kNetwork:
      return {kOk, "filesystem",
              fmt::format("cache on {} (network), index on {} (local)", cache.name, index.name),
              ""};
    case Class::kMemory:
      return {kWarn, "filesystem",
              fmt::format("the cache lies on {}: it uses memory and is gone after a restart",
                          cache.name),
              "--cache DIR on a disk"};
    case Class::kOverlay:
      return {kWarn, "filesystem", "the cache lies on the container's own layer and goes with it",
              "--cache DIR on a volume"};
    case Class::kLocal: break;
  }
  return {kOk, "filesystem", fmt::format("{}, local", cache.name), ""};
}

/// Makes FORMAT in a new one, as a mount would.
Finding CheckShared(const DaemonSpec& spec) {
  index::shared::DirFiles files(spec.shared_cache);
  const auto found = index::shared::SharedRoot::Look(files, spec.shared_segment_bytes,
                                                     fmt::format("doctor{}", ::getpid()));
  if (!found) {
    return {kFail, "shared", found.error().what, "name another directory with --shared-cache"};
  }
  const std::string what = fmt::format("'{}' on {}, {} free", spec.shared_cache, found->filesystem,
                                       FormatSize(found->free_bytes));
  if (!found->writable) {
    return {kWarn, "shared", fmt::format("{}; nothing can be published: {}", what, found->why),
            "make it writable for a group of all replicas (fsGroup)"};
  }
  if (!found->exclusive) {
    return {
        kWarn, "shared",
        fmt::format("{}; two replicas may make one file there, so that nothing is published", what),
        "use a filesystem where O_EXCL works"};
  }
  return {kOk, "shared",
          fmt::format("{}; links {}, clock {} ms from ours", what, found->links ? "work" : "do not",
                      found->skew_ms),
          ""};
}

}  // namespace

Findings CheckCache(const DaemonSpec& spec) {
  Findings findings = CheckDirectory("cache", "--cache", spec.cache_directory);
  if (!spec.index_directory.empty()) {
    for (auto& finding : CheckDirectory("index", "--index", spec.index_directory)) {
      findings.push_back(std::move(finding));
    }
  }
  findings.push_back(CheckKind(spec));
  if (!spec.shared_cache.empty()) findings.push_back(CheckShared(spec));
  findings.push_back({kOk, "memory",
                      fmt::format("{} for chunk buffers, of {} that this process may use",
                                  FormatSize(spec.memory_bytes), FormatSize(MemoryLimitBytes())),
                      ""});
  return findings;
}

}  // namespace modelfs::fs
