#include "fs/config.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

#include "fetch/base/size.h"
#include "fs/config/default_paths.h"
#include "fs/config/memory_limit.h"
#include "fs/config/s3_settings.h"
#include "fs/config/source_uri.h"
#include "fs/config/toml_file.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

constexpr std::uint64_t kMaxShareBytes = 512 * kMiB;
constexpr std::uint64_t kMinChunkBuffers = 8;  // Fewer and one large read starves the others.

template <class T>
void Overlay(const std::optional<T>& over, std::optional<T>& under) {
  if (over) under = over;
}

Result<std::uint64_t> MemoryBytes(const Settings& settings, std::uint64_t chunk_size_bytes) {
  const Amount memory = settings.memory.value_or(Amount{Amount::Unit::kPercent, 25});
  const std::uint64_t least = kMinChunkBuffers * chunk_size_bytes;
  if (memory.unit == Amount::Unit::kPercent) {
    const std::uint64_t share = MemoryLimitBytes() / 100 * memory.value;
    return std::max(std::min(share, std::max(kMaxShareBytes, least)), least);
  }
  if (memory.value < least) {
    return Fail(
        Errc::kInvalid,
        fmt::format("memory {} is too little for chunks of {}; give {} or more",
                    FormatSize(memory.value), FormatSize(chunk_size_bytes), FormatSize(least)));
  }
  return memory.value;
}

std::vector<std::string> Notes(const Settings& s) {
  std::vector<std::string> notes;
  const auto note = [&](bool set, std::string_view key) {
    if (set) notes.push_back(fmt::format("{} has no effect in this version", key));
  };
  note(s.cache_size.has_value(), "cache_size");
  note(s.free_floor.has_value(), "free_floor");
  note(s.shared_cache.has_value(), "shared_cache");
  note(s.http.has_value() && !s.http->empty(), "http");
  note(s.alias_poll.has_value(), "timeouts.alias_poll");
  note(s.promotion_warm.has_value() && s.promotion_warm != "off", "promotion.warm");
  return notes;
}

std::unexpected<Error> At(const SourceSettings& settings, const Error& error) {
  return Fail(error.code, fmt::format("{}: {}", settings.where, error.what));
}

/// A setting that means nothing to a source of this kind is a mistake, not a wish.
Result<void> CheckDirSettings(const SourceSettings& s) {
  const std::array<std::pair<bool, std::string_view>, 6> set{{
      {s.endpoint.has_value(), "endpoint"},
      {s.region.has_value(), "region"},
      {s.profile.has_value(), "profile"},
      {s.anonymous.has_value(), "anonymous"},
      {s.addressing.has_value(), "addressing"},
      {s.ca_bundle.has_value(), "ca_bundle"},
  }};
  for (const auto& [given, key] : set) {
    // Flags apply to every --source of the command line, so there they may miss this one.
    if (given && s.where != "--source") {
      return Fail(Errc::kInvalid, fmt::format("{} means nothing to a dir: source", key));
    }
  }
  return {};
}

}  // namespace

std::optional<std::string> ProcessEnvironment::Get(std::string_view name) const {
  const char* const value = std::getenv(std::string(name).c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

uid_t ProcessEnvironment::uid() const { return ::geteuid(); }
gid_t ProcessEnvironment::gid() const { return ::getegid(); }

stdfs::path ProcessEnvironment::home() const {
  if (const auto home = Get("HOME")) return *home;
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  return entry.pw_dir;
}

Result<Settings> MergeSettings(const Settings& flags, const std::optional<stdfs::path>& file) {
  Settings merged;
  if (file) {
    auto read = ReadTomlFile(*file);
    if (!read) return read;
    merged = *std::move(read);
  }
  Overlay(flags.cache, merged.cache);
  Overlay(flags.index, merged.index);
  Overlay(flags.memory, merged.memory);
  Overlay(flags.chunk_size_bytes, merged.chunk_size_bytes);
  Overlay(flags.allow_other, merged.allow_other);
  Overlay(flags.uid, merged.uid);
  Overlay(flags.gid, merged.gid);
  Overlay(flags.umask, merged.umask);
  Overlay(flags.read_timeout, merged.read_timeout);
  Overlay(flags.listing_ttl, merged.listing_ttl);
  Overlay(flags.io_backend, merged.io_backend);
  Overlay(flags.log_level, merged.log_level);
  Overlay(flags.cache_size, merged.cache_size);
  Overlay(flags.free_floor, merged.free_floor);
  Overlay(flags.shared_cache, merged.shared_cache);
  Overlay(flags.http, merged.http);
  Overlay(flags.alias_poll, merged.alias_poll);
  Overlay(flags.promotion_warm, merged.promotion_warm);
  merged.sources.insert(merged.sources.end(), flags.sources.begin(), flags.sources.end());
  return merged;
}

Result<DaemonSpec> ResolveDaemon(const Settings& settings, const Environment& env) {
  DaemonSpec spec;
  Result<stdfs::path> cache =
      settings.cache ? Result<stdfs::path>(*settings.cache) : DefaultCacheDirectory(env);
  if (!cache) return std::unexpected(cache.error());
  const auto absolute = [](const stdfs::path& path) {
    std::error_code error;
    std::string text = stdfs::absolute(path, error).lexically_normal().string();
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    return text;
  };
  spec.cache_directory = absolute(*cache);
  if (settings.index) spec.index_directory = absolute(*settings.index);
  spec.chunk_size_bytes = settings.chunk_size_bytes.value_or(spec.chunk_size_bytes);
  auto memory = MemoryBytes(settings, spec.chunk_size_bytes);
  if (!memory) return std::unexpected(memory.error());
  spec.memory_bytes = *memory;
  spec.io_backend = settings.io_backend.value_or(spec.io_backend);
  spec.log_level = settings.log_level.value_or(spec.log_level);
  auto socket = ControlSocketPath(spec.cache_directory, env);
  if (!socket) return std::unexpected(socket.error());
  spec.control_socket = *socket;
  return spec;
}

Result<SourceSpec> ResolveSource(const SourceSettings& settings, const Environment& env) {
  auto uri = ParseSourceUri(settings.uri);
  if (!uri && settings.name) uri = ParseSourceUri(*settings.name + "=" + settings.uri);
  if (!uri) return At(settings, uri.error());
  SourceSpec spec{
      .name = settings.name.value_or(uri->name), .uri = uri->uri, .s3 = {}, .ca_bundle = {}};
  if (auto ok = CheckSourceName(spec.name); !ok) return At(settings, ok.error());
  if (!settings.models.empty()) {
    return At(settings, Error{Errc::kInvalid, "models is a filter for mlflow: sources"});
  }
  if (uri->scheme == SourceUri::Scheme::kDir) {
    if (auto ok = CheckDirSettings(settings); !ok) return At(settings, ok.error());
    return spec;
  }
  auto s3 = ResolveS3(settings, env);
  if (!s3) return At(settings, {s3.error().code, fmt::format("{}: {}", spec.uri, s3.error().what)});
  spec.s3 = std::move(s3->s3);
  spec.ca_bundle = std::move(s3->ca_bundle);
  return spec;
}

Result<Config> LoadConfig(const Settings& flags, const std::optional<stdfs::path>& file,
                          const Environment& env) {
  auto settings = MergeSettings(flags, file);
  if (!settings) return std::unexpected(settings.error());
  auto daemon = ResolveDaemon(*settings, env);
  if (!daemon) return std::unexpected(daemon.error());
  Config config{.daemon = *std::move(daemon), .mount = {}, .notes = Notes(*settings)};
  MountSpec& mount = config.mount;
  mount.allow_other = settings->allow_other.value_or(mount.allow_other);
  mount.uid = settings->uid.value_or(env.uid());
  mount.gid = settings->gid.value_or(env.gid());
  mount.umask = settings->umask.value_or(mount.umask);
  mount.read_timeout = settings->read_timeout.value_or(mount.read_timeout);
  mount.listing_ttl = settings->listing_ttl.value_or(mount.listing_ttl);

  for (const auto& source : settings->sources) {
    auto spec = ResolveSource(source, env);
    if (!spec) return std::unexpected(spec.error());
    const auto twin = std::ranges::find(mount.sources, spec->name, &SourceSpec::name);
    if (twin != mount.sources.end()) {
      return Fail(Errc::kInvalid,
                  fmt::format("{}: {} and {} are both named '{}'; name one of them with NAME=URI",
                              source.where, twin->uri, spec->uri, spec->name));
    }
    mount.sources.push_back(*std::move(spec));
  }
  if (!mount.sources.empty()) return config;
  if (env.Get("MLFLOW_TRACKING_URI")) {
    return Fail(
        Errc::kInvalid,
        "no source is named, and this build cannot read MLflow at $MLFLOW_TRACKING_URI yet; "
        "add --source [NAME=]s3://BUCKET[/PREFIX]");
  }
  return Fail(Errc::kInvalid,
              "no source is named; add --source [NAME=]s3://BUCKET[/PREFIX] or a [[source]] to the "
              "file of --config");
}

}  // namespace modelfs::fs
