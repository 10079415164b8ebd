#include "fs/daemon/metrics_report.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

#include "fs/http/metrics_text.h"

namespace modelfs::fs {
namespace {

using enum MetricsText::Type;

void AddProcess(MetricsText& out, const MetricsInput& input) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  out.One("process_cpu_seconds_total", kCounter, "CPU time of the worker.",
          seconds(usage.ru_utime) + seconds(usage.ru_stime));
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  out.One("process_resident_memory_bytes", kGauge, "Resident memory of the worker.",
          static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  out.One("modelfs_uptime_seconds", kGauge, "Since the worker started.", input.uptime.count());
  out.Family("modelfs_build_info", kGauge, "1, with the version.");
  out.Sample(1, {{"version", MODELFS_VERSION}});
  out.One("modelfs_supervised", kGauge, "1 while the supervisor lives.", input.supervised ? 1 : 0);
}

void AddCache(MetricsText& out, const index::CacheStats& s) {
  const auto gauge = [&](const char* name, const char* help, auto value) {
    out.One(name, kGauge, help, static_cast<double>(value));
  };
  const auto counter = [&](const char* name, const char* help, auto value) {
    out.One(name, kCounter, help, static_cast<double>(value));
  };
  gauge("modelfs_cache_healthy", "0 while reads are passed through without caching.",
        s.health == index::Health::kOk ? 1 : 0);
  gauge("modelfs_cache_objects", "Objects of which something is cached.", s.objects);
  gauge("modelfs_cache_bytes", "Bytes of objects that are cached.", s.cached_bytes);
  gauge("modelfs_cache_allocated_bytes", "Disk blocks that the cache takes.", s.allocated_bytes);
  gauge("modelfs_cache_limit_bytes", "Most that it may take; 0: no limit.", s.limit_bytes);
  gauge("modelfs_cache_free_floor_bytes", "To be left free on its filesystem.", s.free_floor_bytes);
  gauge("modelfs_cache_pinned_objects", "Objects kept from eviction.", s.pinned_objects);
  gauge("modelfs_cache_pinned_bytes", "Disk blocks of those.", s.pinned_bytes);
  counter("modelfs_cache_hit_bytes_total", "Bytes read that were cached.", s.hit_bytes);
  counter("modelfs_cache_miss_bytes_total", "Bytes read that had to be fetched.", s.miss_bytes);
  counter("modelfs_cache_evicted_objects_total", "Objects evicted whole.", s.evicted_objects);
  counter("modelfs_cache_evicted_bytes_total", "Disk blocks given back by eviction.",
          s.evicted_bytes);
  counter("modelfs_cache_read_through_bytes_total", "Bytes fetched and served, but not kept.",
          s.reads_through);
  counter("modelfs_cache_quarantined_chunks_total", "Chunks whose checksum did not fit.",
          s.quarantined_chunks);
  counter("modelfs_cache_unkept_chunks_total", "Chunks that the disk would not take.",
          s.uncached_writes);
  counter("modelfs_fetch_bytes_total", "Body bytes received from origins.", s.fetched_bytes);
  counter("modelfs_fetch_requests_total", "Ranged reads sent to origins.", s.fetch_requests);
  counter("modelfs_hedges_total", "Requests sent once more because they were late.", s.hedges);
  counter("modelfs_hedges_won_total", "Of these, where the second was quicker.", s.hedges_won);
  counter("modelfs_hedge_wasted_bytes_total", "Fetched for nothing by that.", s.hedge_wasted_bytes);
  gauge("modelfs_fetch_requests_in_flight", "Ranged reads under way.", s.fetches_in_flight);
  gauge("modelfs_buffer_bytes", "Memory in chunk buffers.", s.buffer_bytes);
  gauge("modelfs_buffer_limit_bytes", "Most that they may take.", s.buffer_limit_bytes);
}

void AddShared(MetricsText& out, const index::shared::SharedStats& s) {
  if (s.directory.empty()) return;
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) {
    out.One(name, kCounter, help, static_cast<double>(value));
  };
  out.Family("modelfs_shared_info", kGauge, "1, with what the shared directory is good for.");
  out.Sample(1, {{"filesystem", s.filesystem}, {"mode", s.mode}});
  out.One("modelfs_shared_usable", kGauge, "0 while it hangs, or is slower than the origin.",
          s.usable ? 1 : 0);
  counter("modelfs_shared_read_bytes_total", "Bytes taken from it.", s.read_bytes);
  counter("modelfs_shared_origin_bytes_total", "Bytes fetched from origins beside it.",
          s.origin_bytes);
  counter("modelfs_shared_published_segments_total", "Segments published.", s.published_segments);
  counter("modelfs_shared_published_bytes_total", "Their bytes.", s.published_bytes);
  counter("modelfs_shared_claims_total", "Segments undertaken for all.", s.claims);
  counter("modelfs_shared_takeovers_total", "Of those, from somebody who had died.", s.takeovers);
  counter("modelfs_shared_hedges_total", "Reads that did not wait longer for somebody else.",
          s.hedges);
  counter("modelfs_shared_brownouts_total", "How often it was found to hang.", s.brownouts);
  counter("modelfs_shared_quarantined_total", "Segments that were not what was published.",
          s.quarantined);
  counter("modelfs_shared_evicted_objects_total", "Objects removed from it.", s.evicted_objects);
  counter("modelfs_shared_errors_total", "Calls that failed and were taken for misses.", s.errors);
}

template <class Value>
void AddPerMount(MetricsText& out, const MetricsInput& input, const char* name, const char* help,
                 Value value) {
  out.Family(name, kGauge, help);
  for (const auto& mount : input.mounts) {
    out.Sample(static_cast<double>(value(mount)), {{"mountpoint", mount.mountpoint}});
  }
}

}  // namespace

std::string MetricsPage(const MetricsInput& input) {
  using Mount = MetricsInput::Mount;
  MetricsText out;
  AddProcess(out, input);
  out.One("modelfs_cache_open", kGauge, "0 while the cache is being opened.", input.cache ? 1 : 0);
  if (input.cache) AddCache(out, *input.cache);
  if (input.cache) AddShared(out, input.cache->shared);
  out.One("modelfs_mounts", kGauge, "Mounts that are served.",
          static_cast<double>(input.mounts.size()));
  AddPerMount(out, input, "modelfs_mount_parked_requests", "Requests that wait for bytes.",
              [](const Mount& m) { return m.parked_requests; });
  AddPerMount(out, input, "modelfs_mount_files", "Files listed so far.",
              [](const Mount& m) { return m.listed.files; });
  AddPerMount(out, input, "modelfs_mount_bytes", "Their size.",
              [](const Mount& m) { return m.listed.bytes; });
  AddPerMount(out, input, "modelfs_mount_config_rejected",
              "1 while the configuration file holds something that was not taken.",
              [](const Mount& m) { return m.config_rejected ? 1 : 0; });
  out.One("modelfs_jobs_running", kGauge, "Jobs of the command line that run.",
          static_cast<double>(input.jobs_running));
  out.Family("modelfs_config_reloads_total", kCounter, "Configurations read again, by outcome.");
  out.Sample(static_cast<double>(input.reloads), {{"outcome", "applied"}});
  out.Sample(static_cast<double>(input.failed_reloads), {{"outcome", "rejected"}});
  return out.Take();
}

}  // namespace modelfs::fs
