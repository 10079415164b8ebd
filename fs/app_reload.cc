#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

#include "fs/app.h"
#include "fs/config/reload.h"
#include "fs/daemon/cache_limits.h"
#include "fs/daemon/log.h"
#include "fs/daemon/source_check.h"

// App, part 4: a configuration that changes under a living mount.

namespace modelfs::fs {
namespace {

/// As for a new mount.
constexpr std::chrono::milliseconds kProbeLimit{8'000};

/// An origin that is not there now may come; one that says no is a mistake in the file.
bool MayComeLater(const Error& error) {
  return error.code == Errc::kTransient || error.code == Errc::kTimeout || error.code == Errc::kIo;
}

/// Fields of a spec's JSON, and the keys of the file that they come from.
using FieldNames = std::span<const std::pair<const char*, const char*>>;
constexpr std::array<std::pair<const char*, const char*>, 10> kMountFields{{
    {"allow_other", "allow_other"},
    {"uid", "uid"},
    {"gid", "gid"},
    {"umask", "umask"},
    {"read_timeout_ms", "timeouts.read"},
    {"alias_poll_ms", "timeouts.alias_poll"},
    {"warm_promotions", "promotion.warm"},
    {"signature", "signature"},
    {"signature_key", "signature_key"},
    {"signature_ca", "signature_ca"},
}};
constexpr std::array<std::pair<const char*, const char*>, 14> kDaemonFields{{
    {"cache_directory", "cache"},
    {"index_directory", "index"},
    {"shared_cache", "shared_cache"},
    {"shared_cache_size", "shared_cache_size"},
    {"shared_segment_bytes", "shared_segment_size"},
    {"chunk_size_bytes", "chunk_size"},
    {"memory_bytes", "memory"},
    {"io_backend", "io"},
    {"http", "http"},
    {"http_token_file", "http_token_file"},
    {"webhook_secret_file", "webhook_secret_file"},
    {"hold", "hold"},
    {"resend", "resend"},
    {"passthrough", "passthrough"},
}};

std::vector<std::string> Differences(const nlohmann::json& running, const nlohmann::json& wanted,
                                     FieldNames fields) {
  std::vector<std::string> keys;
  for (const auto& [field, key] : fields) {
    if (running.at(field) != wanted.at(field)) keys.emplace_back(key);
  }
  return keys;
}

/// Whatever a source is made of, now and in later versions.
bool Same(const SourceSpec& a, const SourceSpec& b) {
  return ToJson(MountSpec{.sources = {a}}) == ToJson(MountSpec{.sources = {b}});
}

/// The running source that `wanted` describes, if there is one.
std::optional<Tree::Source> Running(const SourceSpec& wanted, const MountSpec& running,
                                    const std::vector<Tree::Source>& sources) {
  for (const SourceSpec& spec : running.sources) {
    if (!Same(spec, wanted)) continue;
    const auto found = std::ranges::find(sources, spec.name, &Tree::Source::name);
    if (found != sources.end()) return *found;
  }
  return std::nullopt;
}

std::string Describe(const std::vector<Tree::Source>& before,
                     const std::vector<Tree::Source>& after) {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  const auto names_and_origins = [](const std::vector<Tree::Source>& all, const auto& one) {
    return std::ranges::any_of(all, [&](const auto& s) {
      return s.name == one.name && s.origin == one.origin && s.registry == one.registry;
    });
  };
  for (const auto& source : after) {
    if (!names_and_origins(before, source)) added.push_back(source.name);
  }
  for (const auto& source : before) {
    if (!names_and_origins(after, source)) removed.push_back(source.name);
  }
  return fmt::format("added=\"{}\" removed=\"{}\"", fmt::join(added, ","), fmt::join(removed, ","));
}

}  // namespace

void App::ReloadConfig() { watcher_->ReloadAll(); }

void App::Reload(SessionId id) {
  MountSpec running;
  std::shared_ptr<Tree> tree;
  {
    MutexLock lock(mutex_);
    const auto found = mounts_.find(id);
    if (found == mounts_.end()) return;
    running = found->second.spec;
    tree = found->second.tree;
  }
  auto change = Prepare(running, *tree);
  if (change) return Apply(id, *std::move(change), *tree);
  if (stopping_.stop_requested()) return;
  spdlog::error("config.rejected mountpoint={} file={} error=\"{}\": what runs is kept",
                running.mountpoint, running.config.file, change.error().what);
  MutexLock lock(mutex_);
  ++failed_reloads_;
  const auto found = mounts_.find(id);
  if (found != mounts_.end()) found->second.config_problem = change.error().what;
}

Result<App::Change> App::Prepare(const MountSpec& running, const Tree& tree) {
  auto config = LoadAgain(running.config);
  if (!config) return std::unexpected(config.error());
  Change change{.config = *std::move(config)};
  MountSpec& wanted = change.config.mount;
  wanted.mountpoint = running.mountpoint;
  wanted.config = running.config;
  const auto before = tree.Sources();
  std::vector<Tree::Source> added;
  for (const SourceSpec& spec : wanted.sources) {
    if (auto known = Running(spec, running, before)) {
      change.sources.push_back(*std::move(known));
      continue;
    }
    auto source = MakeSource(spec);
    if (!source) return std::unexpected(source.error());
    added.push_back(*source);
    change.sources.push_back(*std::move(source));
  }
  if (auto ok = CheckSources(added, kProbeLimit, stopping_.get_token()); !ok) {
    if (!MayComeLater(ok.error())) return std::unexpected(ok.error());
    spdlog::warn("config.source_silent mountpoint={} error=\"{}\"", running.mountpoint,
                 ok.error().what);
  }
  change.restart_needed = Differences(ToJson(running), ToJson(wanted), kMountFields);
  change.text = Describe(before, change.sources);
  return change;
}

void App::Apply(SessionId id, Change change, Tree& tree) {
  MountSpec& wanted = change.config.mount;
  SpecMessage spec{.session = id, .mount = {}};
  {
    MutexLock lock(mutex_);
    const auto found = mounts_.find(id);
    if (found == mounts_.end()) return;
    found->second.spec.sources = wanted.sources;
    found->second.spec.listing_ttl = wanted.listing_ttl;
    spec.mount = found->second.spec;
  }
  // First: a successor that finds a number of a source has to know the source.
  options_.broker->Send(spec);
  tree.Reconfigure(std::move(change.sources), wanted.listing_ttl);
  std::vector<std::string> restart = std::move(change.restart_needed);
  if (wanted.config.leads) {
    auto daemon = ApplyDaemon(change.config.daemon);
    restart.insert(restart.end(), daemon.begin(), daemon.end());
  }
  spdlog::info("config.applied mountpoint={} file={} {} listing_ttl_ms={}", wanted.mountpoint,
               wanted.config.file, change.text, wanted.listing_ttl.count());
  if (!restart.empty()) {
    spdlog::warn(
        "config.restart_needed mountpoint={} keys=\"{}\": they hold from the next mount on",
        wanted.mountpoint, fmt::join(restart, ","));
  }
  MutexLock lock(mutex_);
  ++reloads_;
  const auto found = mounts_.find(id);
  if (found == mounts_.end()) return;
  Served& served = found->second;
  served.config_problem.clear();
  served.restart_needed = std::move(restart);
}

std::vector<std::string> App::ApplyDaemon(const DaemonSpec& wanted) {
  DaemonSpec running;
  {
    MutexLock lock(mutex_);
    running = daemon_;
    daemon_.log_level = wanted.log_level;
    daemon_.cache_size = wanted.cache_size;
    daemon_.free_floor = wanted.free_floor;
    daemon_.bandwidth_limit = wanted.bandwidth_limit;
  }
  LimitBandwidth(wanted.bandwidth_limit);
  if (running.log_level != wanted.log_level) SetLogLevel(wanted.log_level);
  if (running.cache_size != wanted.cache_size || running.free_floor != wanted.free_floor) {
    DaemonSpec limited = running;
    limited.cache_size = wanted.cache_size;
    limited.free_floor = wanted.free_floor;
    cache_->SetLimits(ResolveLimits(limited));
  }
  return Differences(ToJson(running), ToJson(wanted), kDaemonFields);
}

}  // namespace modelfs::fs
