#include "fs/csi/csi_metrics.h"

#include "fs/http/metrics_text.h"

namespace modelfs::fs {

std::string CsiMetricsPage(const Volumes::Counts& counts, const CallLog::Table& calls) {
  using enum MetricsText::Type;
  MetricsText out;
  out.Family("modelfs_csi_build_info", kGauge, "1, with the version.");
  out.Sample(1, {{"version", MODELFS_VERSION}});
  out.One("modelfs_csi_volumes", kGauge, "Volumes that are published on this node.",
          static_cast<double>(counts.volumes));
  out.One("modelfs_csi_published_total", kCounter, "Volumes that were published.",
          static_cast<double>(counts.published));
  out.One("modelfs_csi_republished_total", kCounter,
          "Calls for a volume that was published already: tokens may be new.",
          static_cast<double>(counts.republished));
  out.One("modelfs_csi_unpublished_total", kCounter, "Volumes that were taken away.",
          static_cast<double>(counts.unpublished));
  out.One("modelfs_csi_recovered_total", kCounter,
          "Volumes that a driver had left half done, and that were taken back.",
          static_cast<double>(counts.recovered));
  out.Family("modelfs_csi_calls_total", kCounter, "Calls, by method and status.");
  for (const auto& [key, value] : calls) {
    out.Sample(static_cast<double>(value.count), {{"method", key.first}, {"status", key.second}});
  }
  out.Family("modelfs_csi_call_seconds_total", kCounter, "What they took.");
  for (const auto& [key, value] : calls) {
    out.Sample(value.time.count(), {{"method", key.first}, {"status", key.second}});
  }
  return out.Take();
}

}  // namespace modelfs::fs
