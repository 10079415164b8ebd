#include "fs/config/default_paths.h"

#include <fmt/format.h>
#include <sys/un.h>
#include <xxhash.h>

#include <algorithm>
#include <string_view>
#include <system_error>

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

stdfs::path FallbackRuntimeDirectory(uid_t uid) { return fmt::format("/tmp/modelfs-{}", uid); }

/// Directories `parent`/NAME/`below` for every NAME that starts with `prefix`.
void AppendMatches(const stdfs::path& parent, std::string_view prefix, std::string_view below,
                   std::vector<stdfs::path>& out) {
  std::error_code error;
  std::vector<stdfs::path> found;
  for (stdfs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    if (!it->path().filename().string().starts_with(prefix)) continue;
    const stdfs::path candidate = below.empty() ? it->path() : it->path() / below;
    std::error_code ignored;
    if (stdfs::is_directory(candidate, ignored)) found.push_back(candidate);
  }
  std::ranges::sort(found);
  for (auto& path : found) {
    if (std::ranges::find(out, path) == out.end()) out.push_back(std::move(path));
  }
}

}  // namespace

Result<stdfs::path> DefaultCacheDirectory(const Environment& env) {
  if (env.uid() == 0) return stdfs::path("/var/cache/modelfs");
  if (const auto xdg = env.Get("XDG_CACHE_HOME"); xdg && xdg->starts_with('/')) {
    return stdfs::path(*xdg) / "modelfs";
  }
  if (!env.home().is_absolute()) {
    return Fail(Errc::kInvalid,
                "no place for the cache: neither XDG_CACHE_HOME nor HOME is set; name a directory "
                "with --cache DIR");
  }
  return env.home() / ".cache/modelfs";
}

stdfs::path RuntimeDirectory(const Environment& env) {
  if (env.uid() == 0) return "/run/modelfs";
  if (const auto xdg = env.Get("XDG_RUNTIME_DIR"); xdg && xdg->starts_with('/')) {
    return stdfs::path(*xdg) / "modelfs";
  }
  return FallbackRuntimeDirectory(env.uid());
}

std::vector<stdfs::path> AllRuntimeDirectories(const Environment& env) {
  std::vector<stdfs::path> all{RuntimeDirectory(env)};
  if (env.uid() == 0) {
    AppendMatches("/run/user", "", "modelfs", all);
    AppendMatches("/tmp", "modelfs-", "", all);
  } else if (auto fallback = FallbackRuntimeDirectory(env.uid()); fallback != all.front()) {
    all.push_back(std::move(fallback));
  }
  return all;
}

Result<std::string> ControlSocketPath(const stdfs::path& cache_directory, const Environment& env) {
  std::error_code error;
  stdfs::path canonical = stdfs::weakly_canonical(cache_directory, error);
  if (error) canonical = cache_directory.lexically_normal();
  std::string text = canonical.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  std::string path =
      (RuntimeDirectory(env) / fmt::format("{:016x}.sock", XXH3_64bits(text.data(), text.size())))
          .string();
  if (path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return Fail(
        Errc::kInvalid,
        fmt::format("the control socket '{}' has a path over 107 bytes; set XDG_RUNTIME_DIR "
                    "to a shorter one",
                    path));
  }
  return path;
}

}  // namespace modelfs::fs
