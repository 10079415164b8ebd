#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "fs/app.h"
#include "fs/daemon/kernel_read_ahead.h"
#include "fs/daemon/log.h"
#include "fs/daemon/shared_profiles.h"
#include "fs/daemon/status_report.h"

// App, part 2: what the control socket asks.

namespace modelfs::fs {
namespace {

/// The new program is tried and loads; the old worker is told to retire at the end of that.
constexpr std::chrono::milliseconds kUpgradeLimit{20'000};

/// The part of `path` below `mountpoint`; nullopt when it is not below it.
std::optional<std::string> PathBelow(std::string_view path, std::string_view mountpoint) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (!path.starts_with(mountpoint)) return std::nullopt;
  path.remove_prefix(mountpoint.size());
  if (path.empty()) return "";
  if (path.front() != '/') return std::nullopt;
  return std::string(path.substr(1));
}

/// The one state of health, in words; empty: all is well.
std::string ProblemOf(const index::CacheStats& stats, bool supervised) {
  if (!supervised) {
    return "the supervisor is gone: mounts are served, but nothing restarts this process; 'modelfs "
           "mount' with the same cache, there or elsewhere, gives it another";
  }
  if (stats.health != index::Health::kOk) {
    return fmt::format("reading through without caching: {}", stats.health_reason);
  }
  return stats.last_problem;
}

}  // namespace

Result<void> App::AddMount(const MountSpec& spec) {
  const auto known = Mountpoints();
  if (std::ranges::find(known, spec.mountpoint) != known.end()) {
    return Fail(Errc::kInvalid, fmt::format("mount point {} is already mounted: 'modelfs umount "
                                            "{}' first, or use another directory",
                                            spec.mountpoint, spec.mountpoint));
  }
  return Mount(spec, SourcePolicy::kMustAnswer, 0);
}

Result<std::vector<JobTarget>> App::Resolve(const std::vector<std::string>& paths) const {
  std::vector<JobTarget> targets;
  MutexLock lock(mutex_);
  for (const std::string& path : paths) {
    const Served* nearest = nullptr;
    std::string below;
    for (const auto& [id, served] : mounts_) {
      auto rest = PathBelow(path, served.spec.mountpoint);
      if (!rest || (nearest != nullptr && rest->size() >= below.size())) continue;
      nearest = &served;
      below = *std::move(rest);
    }
    if (nearest == nullptr) {
      return Fail(Errc::kInvalid, fmt::format("{} is not below a mount of this daemon", path));
    }
    targets.push_back({.tree = nearest->tree, .path = std::move(below)});
  }
  return targets;
}

Result<void> App::Upgrade(const std::string& program) {
  Fd file(::open(program.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return FailErrno(errno, fmt::format("upgrade: open {}", program));
  spdlog::info("app.upgrade program={}", program);
  return options_.broker->RequestUpgrade(std::move(file), kUpgradeLimit);
}

Result<std::uint64_t> App::StartJob(JobKind kind, const std::vector<std::string>& paths) {
  auto targets = Resolve(paths);
  if (!targets) return std::unexpected(targets.error());
  return jobs_->Start(kind, *std::move(targets));
}

Result<nlohmann::json> App::Job(std::uint64_t id) { return jobs_->Describe(id); }

Result<std::string> App::JobOutput(std::uint64_t id) { return jobs_->Output(id); }

Result<std::size_t> App::ImportProfiles(const std::string& file) {
  const auto profiles = index::ProfileFile::Decode(file);
  if (!profiles) return std::unexpected(profiles.error());
  auto kept = KeepProfiles(cache_->records(), *profiles);
  if (kept) spdlog::info("profiles.imported count={}", *kept);
  return kept;
}

nlohmann::json App::Status() {
  nlohmann::json status = DescribeSelf("");
  status["jobs"] = jobs_->DescribeAll();
  return status;
}

nlohmann::json App::DescribeSelf(const std::string& mountpoint) {
  struct Mounted {
    MountSpec spec;
    std::shared_ptr<Tree> tree;
    MountState state;
  };
  std::vector<Mounted> mounted;
  DaemonSpec daemon;
  {
    MutexLock lock(mutex_);
    daemon = daemon_;
    for (const auto& [id, served] : mounts_) {
      if (!mountpoint.empty() && served.spec.mountpoint != mountpoint) continue;
      mounted.push_back({served.spec,
                         served.tree,
                         {.parked_requests = served.session->Parked(),
                          .passthrough = served.session->passthrough(),
                          .read_ahead_kb = KernelReadAheadKb(served.minor),
                          .config = {.file = served.spec.config.file,
                                     .problem = served.config_problem,
                                     .restart_needed = served.restart_needed}}});
    }
  }
  auto mounts = nlohmann::json::array();
  for (const Mounted& mount : mounted) {
    mounts.push_back(DescribeMount(mount.spec, *mount.tree, *cache_, mount.state));
  }
  const index::CacheStats stats = cache_->Stats();
  const bool supervised = options_.broker->connected();
  const std::string problem = ProblemOf(stats, supervised);
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - started_;
  return {{"version", MODELFS_VERSION},
          {"pid", ::getpid()},
          {"supervisor_pid", options_.broker->supervisor_pid()},
          {"uptime_seconds", uptime.count()},
          {"healthy", problem.empty()},
          {"problem", problem},
          {"log", LogPathInUse(daemon.control_socket)},
          {"http", http_address_},
          {"cache", DescribeCache(daemon, stats)},
          {"mounts", std::move(mounts)}};
}

}  // namespace modelfs::fs
