#include "fs/daemon/status_report.h"

#include <sys/statvfs.h>

#include <optional>
#include <unordered_set>

namespace modelfs::fs {
namespace {

nlohmann::json DescribeSource(const Tree& tree, const Tree::Source& source,
                              const index::Cache& cache) {
  nlohmann::json json = {{"name", source.name},
                         {"uri", source.origin->Describe()},
                         {"files", nullptr},
                         {"total_bytes", nullptr},
                         {"cached_bytes", 0}};
  const auto files = tree.ListedFiles(source.name);
  if (!files) return json;
  std::uint64_t total = 0;
  std::uint64_t cached = 0;
  for (const fetch::ObjectId& id : *files) {
    total += id.size_bytes;
    if (const auto status = cache.Find(id)) cached += status->cached_bytes;
  }
  json["files"] = files->size();
  json["total_bytes"] = total;
  json["cached_bytes"] = cached;
  return json;
}

}  // namespace

nlohmann::json DescribeCache(const DaemonSpec& daemon, const index::CacheStats& stats) {
  struct statvfs filesystem{};
  static_cast<void>(::statvfs(daemon.cache_directory.c_str(), &filesystem));
  const std::string index =
      daemon.index_directory.empty() ? daemon.cache_directory + "/index" : daemon.index_directory;
  return {{"directory", daemon.cache_directory},
          {"index_directory", index},
          {"chunk_size_bytes", daemon.chunk_size_bytes},
          {"io_backend", stats.io_backend},
          {"objects", stats.objects},
          {"cached_bytes", stats.cached_bytes},
          {"filesystem_bytes", std::uint64_t{filesystem.f_blocks} * filesystem.f_frsize},
          {"filesystem_free_bytes", std::uint64_t{filesystem.f_bavail} * filesystem.f_frsize},
          {"hit_bytes", stats.hit_bytes},
          {"miss_bytes", stats.miss_bytes},
          {"fetched_bytes", stats.fetched_bytes},
          {"fetch_requests", stats.fetch_requests},
          {"fetches_in_flight", stats.fetches_in_flight},
          {"fetch_bytes_per_second", stats.fetch_bytes_per_second},
          {"buffer_bytes", stats.buffer_bytes},
          {"buffer_limit_bytes", stats.buffer_limit_bytes},
          {"quarantined_chunks", stats.quarantined_chunks},
          {"uncached_writes", stats.uncached_writes}};
}

nlohmann::json DescribeMount(const MountSpec& spec, const Tree& tree, const index::Cache& cache,
                             std::size_t parked_requests) {
  auto sources = nlohmann::json::array();
  for (const Tree::Source& source : tree.options().sources) {
    sources.push_back(DescribeSource(tree, source, cache));
  }
  return {{"mountpoint", spec.mountpoint},
          {"allow_other", spec.allow_other},
          {"parked_requests", parked_requests},
          {"sources", std::move(sources)}};
}

}  // namespace modelfs::fs
