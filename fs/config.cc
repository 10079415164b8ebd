#include "fs/config.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

#include "fetch/base/size.h"
#include "fs/config/cache_places.h"
#include "fs/config/default_paths.h"
#include "fs/config/login_files.h"
#include "fs/config/memory_limit.h"
#include "fs/config/mlflow_login.h"
#include "fs/config/proxy_variables.h"
#include "fs/config/readable_path.h"
#include "fs/config/s3_settings.h"
#include "fs/config/source_uri.h"
#include "fs/config/toml_file.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;

constexpr std::uint64_t kMaxShareBytes = 512 * kMiB;
constexpr std::string_view kMlflowScheme = "mlflow:";
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

std::string AbsoluteText(const stdfs::path& path) {
  std::error_code error;
  std::string text = stdfs::absolute(path, error).lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

std::vector<std::string> Notes(const Settings& s, const DaemonSpec& daemon) {
  std::vector<std::string> notes;
  const auto note = [&](bool set, std::string_view key) {
    if (set) notes.push_back(fmt::format("{} has no effect in this version", key));
  };
  if (daemon.cache_in_memory) {
    notes.push_back(fmt::format("the cache lies in memory ({}){}", daemon.cache_directory,
                                s.cache ? "" : ": its usual directory cannot be written"));
  }
  const std::string& index = daemon.index_directory;
  if (!index.empty() && (!s.index || AbsoluteText(*s.index) != index)) {
    notes.push_back(
        fmt::format("the index lies in {}: a network filesystem, which LMDB forbids, holds {}",
                    index, s.index ? *s.index : daemon.cache_directory));
  }
  note(s.promotion_warm == "profile", "promotion.warm = \"profile\"");
  return notes;
}

std::unexpected<Error> At(const SourceSettings& settings, const Error& error) {
  return Fail(error.code, fmt::format("{}: {}", settings.where, error.what));
}

/// A setting that means nothing to a source of this kind is a mistake, not a wish.
Result<void> CheckSettingsFit(const SourceSettings& s, SourceUri::Scheme scheme) {
  using enum SourceUri::Scheme;
  const bool s3 = scheme == kS3;
  const bool http = scheme == kHttp;
  struct Row {
    bool given;
    std::string_view key;
    bool fits;
  };
  const std::array<Row, 8> rows{{
      {s.endpoint.has_value(), "endpoint", s3},
      {s.region.has_value(), "region", s3},
      {s.profile.has_value(), "profile", s3},
      {s.anonymous.has_value(), "anonymous", s3},
      {s.addressing.has_value(), "addressing", s3},
      {s.ca_bundle.has_value(), "ca_bundle", s3 || http},
      {s.auth_file.has_value(), "auth_file", http},
      {s.token_file.has_value(), "token_file", http},
  }};
  for (const auto& [given, key, fits] : rows) {
    // Flags apply to every --source of the command line, so there they may miss this one.
    if (given && !fits && s.where != "--source") {
      return Fail(Errc::kInvalid, fmt::format("{} means nothing to {} source", key,
                                              s3     ? "an s3:"
                                              : http ? "an http:"
                                                     : "a dir:"));
    }
  }
  return {};
}

/// What reaches a web server. Errors: those of files that cannot be read.
Result<void> ResolveHttp(const SourceSettings& settings, SourceSpec& spec) {
  auto files = FindLoginFiles(settings);
  if (!files) return std::unexpected(std::move(files.error()));
  spec.auth_file = std::move(files->auth_file);
  spec.token_file = std::move(files->token_file);
  if (!settings.ca_bundle) return {};
  auto readable = ReadablePath(*settings.ca_bundle, "the CA bundle");
  if (!readable) return std::unexpected(std::move(readable.error()));
  spec.ca_bundle = *std::move(readable);
  return {};
}

}  // namespace

std::optional<std::string> ProcessEnvironment::Get(std::string_view name) const {
  const char* const value = std::getenv(std::string(name).c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::vector<std::string> ProcessEnvironment::Names() const {
  std::vector<std::string> names;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    names.emplace_back(text.substr(0, text.find('=')));
  }
  return names;
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
  Overlay(flags.bandwidth_limit, merged.bandwidth_limit);
  Overlay(flags.shared_cache, merged.shared_cache);
  Overlay(flags.shared_cache_size, merged.shared_cache_size);
  Overlay(flags.shared_segment_bytes, merged.shared_segment_bytes);
  Overlay(flags.http, merged.http);
  Overlay(flags.http_token_file, merged.http_token_file);
  Overlay(flags.webhook_secret_file, merged.webhook_secret_file);
  Overlay(flags.hold, merged.hold);
  Overlay(flags.signature, merged.signature);
  Overlay(flags.signature_key, merged.signature_key);
  Overlay(flags.signature_ca, merged.signature_ca);
  Overlay(flags.resend, merged.resend);
  Overlay(flags.passthrough, merged.passthrough);
  Overlay(flags.alias_poll, merged.alias_poll);
  Overlay(flags.promotion_warm, merged.promotion_warm);
  merged.sources.insert(merged.sources.end(), flags.sources.begin(), flags.sources.end());
  return merged;
}

namespace {

Result<void> ResolveSignature(const Settings& settings, MountSpec& mount) {
  mount.signature = settings.signature.value_or(mount.signature);
  if (settings.signature_key) mount.signature_key = AbsoluteText(*settings.signature_key);
  if (settings.signature_ca) mount.signature_ca = AbsoluteText(*settings.signature_ca);
  const bool one = settings.signature_key.has_value() != settings.signature_ca.has_value();
  if (one || mount.signature == SignaturePolicy::kOff) return {};
  return Fail(Errc::kInvalid,
              "signature: say whose signatures count by either signature_key or "
              "signature_ca");
}

}  // namespace

Result<DaemonSpec> ResolveDaemon(const Settings& settings, const Environment& env) {
  DaemonSpec spec;
  const auto places = FindCachePlaces(settings, env);
  if (!places) return std::unexpected(places.error());
  spec.cache_directory = AbsoluteText(places->cache);
  spec.cache_in_memory = places->in_memory;
  if (!places->index.empty()) spec.index_directory = AbsoluteText(places->index);
  if (settings.shared_cache && !settings.shared_cache->empty()) {
    spec.shared_cache = AbsoluteText(*settings.shared_cache);
  }
  spec.shared_cache_size = settings.shared_cache_size.value_or(spec.shared_cache_size);
  spec.shared_segment_bytes = settings.shared_segment_bytes.value_or(spec.shared_segment_bytes);
  spec.chunk_size_bytes = settings.chunk_size_bytes.value_or(spec.chunk_size_bytes);
  auto memory = MemoryBytes(settings, spec.chunk_size_bytes);
  if (!memory) return std::unexpected(memory.error());
  spec.memory_bytes = *memory;
  spec.io_backend = settings.io_backend.value_or(spec.io_backend);
  spec.log_level = settings.log_level.value_or(spec.log_level);
  spec.cache_size = settings.cache_size.value_or(spec.cache_size);
  spec.free_floor = settings.free_floor.value_or(spec.free_floor);
  spec.bandwidth_limit = settings.bandwidth_limit.value_or(spec.bandwidth_limit);
  spec.http = settings.http.value_or(spec.http);
  if (settings.http_token_file) spec.http_token_file = AbsoluteText(*settings.http_token_file);
  if (settings.webhook_secret_file) {
    spec.webhook_secret_file = AbsoluteText(*settings.webhook_secret_file);
  }
  if (settings.hold) spec.hold = AbsoluteText(*settings.hold);
  spec.resend = settings.resend.value_or(spec.resend);
  spec.passthrough = settings.passthrough.value_or(spec.passthrough);
  auto socket = ControlSocketPath(spec.cache_directory, env);
  if (!socket) return std::unexpected(socket.error());
  spec.control_socket = *socket;
  return spec;
}

namespace {

Result<SourceSpec> ResolveMlflowSource(const SourceSettings& settings, SourceSpec spec,
                                       const Environment& env) {
  if (!spec.name.empty()) {
    if (auto ok = CheckSourceName(spec.name); !ok) return At(settings, ok.error());
  }
  auto mlflow =
      ResolveMlflow(std::string_view(spec.uri).substr(kMlflowScheme.size()), settings, env);
  if (!mlflow) return At(settings, mlflow.error());
  spec.mlflow = *std::move(mlflow);
  spec.models = settings.models;
  spec.proxy = FindProxies(env);
  // MLflow's own variable names its storage before AWS's do.
  SourceSettings storage = settings;
  if (!storage.endpoint) storage.endpoint = env.Get("MLFLOW_S3_ENDPOINT_URL");
  auto s3 = ResolveS3(storage, env);
  if (s3) {
    spec.s3 = std::move(s3->s3);
    spec.ca_bundle = std::move(s3->ca_bundle);
  } else if (s3.error().code != Errc::kDenied || settings.profile) {
    return At(settings, s3.error());
  }  // Else versions in S3 are read through the server, which has credentials.
  return spec;
}

}  // namespace

Result<SourceSpec> ResolveSource(const SourceSettings& settings, const Environment& env) {
  auto uri = ParseSourceUri(settings.uri);
  if (!uri && settings.name) uri = ParseSourceUri(*settings.name + "=" + settings.uri);
  if (!uri) return At(settings, uri.error());
  SourceSpec spec{
      .name = settings.name.value_or(uri->name), .uri = uri->uri, .s3 = {}, .ca_bundle = {}};
  const bool mlflow = uri->scheme == SourceUri::Scheme::kMlflow;
  if (mlflow) return ResolveMlflowSource(settings, std::move(spec), env);
  if (auto ok = CheckSourceName(spec.name); !ok) return At(settings, ok.error());
  if (!settings.models.empty()) {
    return At(settings, Error{Errc::kInvalid, "models is a filter for mlflow: sources"});
  }
  if (auto ok = CheckSettingsFit(settings, uri->scheme); !ok) return At(settings, ok.error());
  if (uri->scheme == SourceUri::Scheme::kDir) return spec;
  spec.proxy = FindProxies(env);
  if (uri->scheme == SourceUri::Scheme::kHttp) {
    if (auto ok = ResolveHttp(settings, spec); !ok) return At(settings, ok.error());
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
  Config config{.daemon = *std::move(daemon), .mount = {}, .notes = {}};
  config.notes = Notes(*settings, config.daemon);
  MountSpec& mount = config.mount;
  mount.allow_other = settings->allow_other.value_or(mount.allow_other);
  mount.uid = settings->uid.value_or(env.uid());
  mount.gid = settings->gid.value_or(env.gid());
  mount.umask = settings->umask.value_or(mount.umask);
  mount.read_timeout = settings->read_timeout.value_or(mount.read_timeout);
  mount.listing_ttl = settings->listing_ttl.value_or(mount.listing_ttl);
  mount.alias_poll = settings->alias_poll.value_or(mount.alias_poll);
  mount.warm_promotions = settings->promotion_warm == "full";
  if (auto ok = ResolveSignature(*settings, mount); !ok) return std::unexpected(ok.error());

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
  auto tracking = TrackingUriOf(env);
  if (!tracking) return std::unexpected(tracking.error());
  if (const auto& found = *tracking) {
    SourceSettings source;
    source.where = "MLFLOW_TRACKING_URI";
    source.uri = std::string(kMlflowScheme) + found->address;
    auto spec = ResolveSource(source, env);
    if (!spec) return std::unexpected(spec.error());
    mount.sources.push_back(*std::move(spec));
    return config;
  }
  return Fail(Errc::kInvalid,
              "no source is named; add --source [NAME=]s3://BUCKET[/PREFIX] or a [[source]] to the "
              "file of --config, or set MLFLOW_TRACKING_URI");
}

}  // namespace modelfs::fs
