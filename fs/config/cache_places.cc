#include "fs/config/cache_places.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <string>

#include "fs/config/default_paths.h"
#include "index/filesystem_kind.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;
using index::FilesystemKind;

/// Whether a folder could be made there.
bool Writable(const stdfs::path& path) {
  return ::access(index::NearestExisting(path).c_str(), W_OK | X_OK) == 0;
}

bool IsOnNetwork(const stdfs::path& path) {
  return index::FilesystemKindOf(path).kind == FilesystemKind::Class::kNetwork;
}

stdfs::path InMemory(const Environment& env, std::string_view name) {
  return fmt::format("/dev/shm/modelfs-{}/{}", env.uid(), name);
}

/// Whether `path` lies in a folder of this user's, or in one that will be: /dev/shm and /var/tmp
/// are open to all.
Result<void> CheckOwner(const stdfs::path& path, const Environment& env) {
  const stdfs::path folder = path.parent_path();
  struct stat facts{};
  if (::lstat(folder.c_str(), &facts) != 0) return {};
  if (S_ISDIR(facts.st_mode) && facts.st_uid == env.uid()) return {};
  return Fail(Errc::kDenied, fmt::format("{} belongs to somebody else; name other directories with "
                                         "--cache DIR and --index DIR",
                                         folder.string()));
}

/// A place for the index of `cache` on this machine.
stdfs::path IndexApart(const stdfs::path& cache, const Environment& env) {
  const std::string text = cache.lexically_normal().string();
  const std::string name = fmt::format("index-{:016x}", XXH3_64bits(text.data(), text.size()));
  stdfs::path on_disk = fmt::format("/var/tmp/modelfs-{}/{}", env.uid(), name);
  const bool local = index::FilesystemKindOf(on_disk).kind == FilesystemKind::Class::kLocal;
  if (local && Writable(on_disk)) return on_disk;
  return InMemory(env, name);
}

}  // namespace

Result<CachePlaces> FindCachePlaces(const Settings& settings, const Environment& env) {
  CachePlaces places;
  if (settings.cache == kCacheInMemory) {
    places.in_memory = true;
  } else if (settings.cache) {
    places.cache = *settings.cache;
  } else {
    auto usual = DefaultCacheDirectory(env);
    if (!usual) return std::unexpected(usual.error());
    places.cache = *usual;
    places.in_memory = !Writable(places.cache);
  }
  if (places.in_memory) {
    places.cache = InMemory(env, "cache");
    if (auto ours = CheckOwner(places.cache, env); !ours) return std::unexpected(ours.error());
  }
  if (settings.index) places.index = *settings.index;
  const stdfs::path& index = places.index.empty() ? places.cache : places.index;
  if (IsOnNetwork(index)) {
    places.index = IndexApart(places.cache, env);
    if (auto ours = CheckOwner(places.index, env); !ours) return std::unexpected(ours.error());
  }
  return places;
}

}  // namespace modelfs::fs
