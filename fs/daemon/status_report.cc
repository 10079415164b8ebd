#include "fs/daemon/status_report.h"

#include <sys/statvfs.h>

#include <optional>
#include <unordered_set>

#include "fetch/base/percent.h"

namespace modelfs::fs {
namespace {

/// Adds how much of `files` is cached; null totals when they are not known.
void AddFiles(nlohmann::json& json, const std::optional<std::vector<fetch::ObjectId>>& files,
              const index::Cache& cache) {
  json["files"] = nullptr;
  json["total_bytes"] = nullptr;
  json["cached_bytes"] = 0;
  if (!files) return;
  std::uint64_t total = 0;
  std::uint64_t cached = 0;
  for (const fetch::ObjectId& id : *files) {
    total += id.size_bytes;
    if (const auto status = cache.Find(id)) cached += status->cached_bytes;
  }
  json["files"] = files->size();
  json["total_bytes"] = total;
  json["cached_bytes"] = cached;
}

/// JSON takes no other text.
std::string Utf8(const std::string& raw) { return modelfs::Printable(raw, 256); }

nlohmann::json DescribeSource(const Tree& tree, const Tree::Source& source,
                              const index::Cache& cache) {
  nlohmann::json json = {{"name", source.name}, {"uri", source.Describe()}};
  AddFiles(json, tree.ListedFiles(source.name), cache);
  if (!source.registry) return json;
  auto versions = nlohmann::json::array();
  for (const ListedVersion& version : tree.ListedVersions(source.name)) {
    versions.push_back(DescribeVersion(version, cache));
  }
  json["versions"] = std::move(versions);
  return json;
}

nlohmann::json DescribeShared(const index::shared::SharedStats& stats) {
  if (stats.directory.empty()) return nullptr;
  return {{"directory", stats.directory},
          {"mode", stats.mode},
          {"usable", stats.usable},
          {"reason", Utf8(stats.reason)},
          {"filesystem", stats.filesystem},
          {"read_bytes", stats.read_bytes},
          {"origin_bytes", stats.origin_bytes},
          {"published_segments", stats.published_segments},
          {"published_bytes", stats.published_bytes},
          {"claims", stats.claims},
          {"takeovers", stats.takeovers},
          {"hedges", stats.hedges},
          {"brownouts", stats.brownouts},
          {"quarantined", stats.quarantined},
          {"evicted_objects", stats.evicted_objects},
          {"errors", stats.errors}};
}

}  // namespace

nlohmann::json DescribeCache(const DaemonSpec& daemon, const index::CacheStats& stats) {
  struct statvfs filesystem{};
  static_cast<void>(::statvfs(daemon.cache_directory.c_str(), &filesystem));
  const std::string index =
      daemon.index_directory.empty() ? daemon.cache_directory + "/index" : daemon.index_directory;
  return {{"directory", daemon.cache_directory},
          {"index_directory", index},
          {"chunk_size_bytes", stats.chunk_size_bytes},
          {"io_backend", stats.io_backend},
          {"objects", stats.objects},
          {"cached_bytes", stats.cached_bytes},
          {"allocated_bytes", stats.allocated_bytes},
          {"limit_bytes", stats.limit_bytes},
          {"free_floor_bytes", stats.free_floor_bytes},
          {"bandwidth_limit", daemon.bandwidth_limit},
          {"pinned_objects", stats.pinned_objects},
          {"pinned_bytes", stats.pinned_bytes},
          {"evicted_objects", stats.evicted_objects},
          {"evicted_bytes", stats.evicted_bytes},
          {"read_through_bytes", stats.reads_through},
          {"health", stats.health == index::Health::kOk ? "ok" : "degraded"},
          {"health_reason", stats.health_reason},
          {"filesystem_bytes", std::uint64_t{filesystem.f_blocks} * filesystem.f_frsize},
          {"filesystem_free_bytes", std::uint64_t{filesystem.f_bavail} * filesystem.f_frsize},
          {"hit_bytes", stats.hit_bytes},
          {"miss_bytes", stats.miss_bytes},
          {"fetched_bytes", stats.fetched_bytes},
          {"fetch_requests", stats.fetch_requests},
          {"fetches_in_flight", stats.fetches_in_flight},
          {"hedges", stats.hedges},
          {"hedges_won", stats.hedges_won},
          {"hedge_wasted_bytes", stats.hedge_wasted_bytes},
          {"fetch_bytes_per_second", stats.fetch_bytes_per_second},
          {"buffer_bytes", stats.buffer_bytes},
          {"buffer_limit_bytes", stats.buffer_limit_bytes},
          {"quarantined_chunks", stats.quarantined_chunks},
          {"uncached_writes", stats.uncached_writes},
          {"shared", DescribeShared(stats.shared)}};
}

nlohmann::json DescribeVersion(const ListedVersion& version, const index::Cache& cache) {
  nlohmann::json json = {{"model", Utf8(version.model)}, {"version", version.number}};
  AddFiles(json, version.files, cache);
  return json;
}

nlohmann::json DescribeMount(const MountSpec& spec, const Tree& tree, const index::Cache& cache,
                             const MountState& state) {
  auto sources = nlohmann::json::array();
  for (const Tree::Source& source : tree.Sources()) {
    sources.push_back(DescribeSource(tree, source, cache));
  }
  auto switches = nlohmann::json::array();
  for (const PendingSwitch& pending : tree.PendingSwitches()) {
    switches.push_back({{"model", Utf8(pending.model)},
                        {"alias", Utf8(pending.alias)},
                        {"from", pending.from},
                        {"to", pending.to},
                        {"cached_bytes", pending.cached_bytes},
                        {"total_bytes", pending.total_bytes},
                        {"failure", pending.failure}});
  }
  return {{"mountpoint", spec.mountpoint},
          {"pending_switches", std::move(switches)},
          {"allow_other", spec.allow_other},
          {"parked_requests", state.parked_requests},
          {"passthrough",
           {{"on", state.passthrough.on},
            {"why_not", state.passthrough.why},
            {"files", state.passthrough.files}}},
          {"read_ahead_kb",
           state.read_ahead_kb ? nlohmann::json(*state.read_ahead_kb) : nlohmann::json()},
          {"config",
           {{"file", state.config.file},
            {"problem", state.config.problem},
            {"restart_needed", state.config.restart_needed}}},
          {"sources", std::move(sources)}};
}

}  // namespace modelfs::fs
