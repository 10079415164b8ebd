#include "fs/app.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "fetch/origin_factory.h"
#include "fs/config/origin_settings.h"
#include "fs/daemon/log.h"
#include "fs/daemon/source_check.h"
#include "fs/daemon/status_report.h"

namespace modelfs::fs {
namespace {

/// So that a wrong name, key or endpoint is told within ten seconds.
constexpr std::chrono::milliseconds kProbeLimit{8'000};
constexpr std::chrono::milliseconds kMountLimit{30'000};
/// How long Stop waits for requests that origins still have in flight.
constexpr std::chrono::milliseconds kLetGoLimit{2'000};

std::unexpected<Error> Ending() { return Fail(Errc::kCancelled, "the daemon is ending"); }

/// The part of `path` below `mountpoint`; nullopt when it is not below it.
std::optional<std::string> PathBelow(std::string_view path, std::string_view mountpoint) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (!path.starts_with(mountpoint)) return std::nullopt;
  path.remove_prefix(mountpoint.size());
  if (path.empty()) return "";
  if (path.front() != '/') return std::nullopt;
  return std::string(path.substr(1));
}

}  // namespace

App::App(Options options) : options_(std::move(options)) {}

App::~App() { Stop(); }

Result<std::unique_ptr<App>> App::Create(Options options) {
  auto app = std::make_unique<App>(std::move(options));
  if (auto opened = app->Open(); !opened) return std::unexpected(opened.error());
  return app;
}

Result<void> App::Open() {
  const DaemonSpec& daemon = options_.daemon;
  auto cache = index::Cache::Open({.directory = daemon.cache_directory,
                                   .index_directory = daemon.index_directory,
                                   .chunk_size_bytes = daemon.chunk_size_bytes,
                                   .memory_bytes = daemon.memory_bytes,
                                   .io_backend = daemon.io_backend});
  if (!cache) return std::unexpected(cache.error());
  cache_ = *std::move(cache);
  fetch_ = std::make_unique<fetch::FetchContext>(fetch::FetchContext::Options{});
  jobs_ = std::make_unique<Jobs>(cache_);
  auto control = ControlServer::Start(
      {.socket_path = daemon.control_socket, .api = this, .peer_uid = nullptr});
  if (!control) return std::unexpected(control.error());
  control_ = *std::move(control);
  spdlog::info("app.open cache={} control={}", daemon.cache_directory, daemon.control_socket);
  return {};
}

Result<std::vector<Tree::Source>> App::MakeSources(const MountSpec& spec) {
  std::vector<Tree::Source> sources;
  for (const SourceSpec& source : spec.sources) {
    auto origin = fetch::MakeOrigin(*fetch_, source.uri, ToOriginSettings(source));
    if (!origin) {
      return Fail(origin.error().code, fmt::format("source '{}' ({}): {}", source.name, source.uri,
                                                   origin.error().what));
    }
    sources.push_back({.name = source.name, .origin = *std::move(origin)});
  }
  return sources;
}

Result<void> App::Mount(const MountSpec& spec, SourcePolicy policy, std::uint64_t request) {
  auto done = DoMount(spec, policy, request);
  if (!done) {
    spdlog::warn("app.mount_failed mountpoint={} error=\"{}\"", spec.mountpoint, done.error().what);
  }
  return done;
}

Result<void> App::DoMount(const MountSpec& spec, SourcePolicy policy, std::uint64_t request) {
  if (stopping_.stop_requested()) return Ending();
  auto sources = MakeSources(spec);
  if (!sources) return std::unexpected(sources.error());
  auto checked = CheckSources(*sources, kProbeLimit, stopping_.get_token());
  if (!checked && (policy == SourcePolicy::kMustAnswer || stopping_.stop_requested())) {
    return checked;
  }
  auto tree = Tree::Create({.sources = *std::move(sources),
                            .cache = cache_,
                            .listing_ttl = spec.listing_ttl,
                            .uid = spec.uid,
                            .gid = spec.gid,
                            .umask = spec.umask});
  auto mounted = options_.broker->RequestMount(spec, kMountLimit);
  if (!mounted) return std::unexpected(mounted.error());
  const SessionId id = mounted->session;
  auto session = Session::Start(std::move(mounted->device), tree,
                                {.read_timeout = spec.read_timeout,
                                 .saved_init = {},
                                 .on_init =
                                     [this, id](std::span<const std::byte> init) {
                                       options_.broker->Send(SaveInitMessage{
                                           .session = id, .init = {init.begin(), init.end()}});
                                     },
                                 .on_unmounted = [this, id] { options_.on_unmounted(id); }});
  if (!session) {
    options_.broker->Send(UnmountRequestMessage{id});
    return std::unexpected(session.error());
  }
  bool gone = false;
  {
    MutexLock lock(mutex_);
    mounts_.emplace(id, Served{.spec = spec, .tree = tree, .session = *std::move(session)});
    gone = gone_early_.erase(id) > 0;
  }
  options_.broker->Send(ReadyMessage{.request = request, .session = id});
  spdlog::info("app.mounted session={} mountpoint={}", id, spec.mountpoint);
  if (gone) options_.on_unmounted(id);
  return {};
}

void App::Remove(SessionId id) {
  Served served;
  {
    MutexLock lock(mutex_);
    const auto found = mounts_.find(id);
    if (found == mounts_.end()) {
      gone_early_.insert(id);
      return;
    }
    served = std::move(found->second);
    mounts_.erase(found);
    std::erase_if(old_trees_, [](const auto& tree) { return tree.expired(); });
    old_trees_.push_back(served.tree);
  }
  spdlog::info("app.unmounted session={} mountpoint={}", id, served.spec.mountpoint);
  LetGo(std::move(served));
  options_.broker->Send(SessionGoneMessage{id});
}

void App::LetGo(Served served) {
  served.session->Stop();
  served.session.reset();
}

std::vector<std::string> App::Mountpoints() const {
  std::vector<std::string> mountpoints;
  MutexLock lock(mutex_);
  mountpoints.reserve(mounts_.size());
  for (const auto& [id, served] : mounts_) mountpoints.push_back(served.spec.mountpoint);
  return mountpoints;
}

void App::BeginStop() {
  stopping_.request_stop();
  options_.broker->Close();
}

bool App::Stop() {
  BeginStop();
  control_.reset();  // Waits for its calls, which fail or end soon by now.
  jobs_.reset();
  std::map<SessionId, Served> mounts;
  std::vector<std::weak_ptr<Tree>> trees;
  {
    MutexLock lock(mutex_);
    mounts.swap(mounts_);
    trees.swap(old_trees_);
  }
  for (auto& [id, served] : mounts) {
    trees.push_back(served.tree);
    LetGo(std::move(served));
  }
  mounts.clear();
  if (!fetch_) return true;
  // Listings in flight may hold a tree, and it the cache, until their origin gives up.
  const auto until = std::chrono::steady_clock::now() + kLetGoLimit;
  const auto held = [&] {
    return std::ranges::any_of(trees, [](const auto& tree) { return !tree.expired(); });
  };
  while (held() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  cache_.reset();
  if (held()) return false;
  fetch_.reset();
  return true;
}

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

Result<std::uint64_t> App::StartWarm(const std::vector<std::string>& paths) {
  auto targets = Resolve(paths);
  if (!targets) return std::unexpected(targets.error());
  return jobs_->StartWarm(*std::move(targets));
}

Result<std::uint64_t> App::StartVerify(const std::vector<std::string>& paths) {
  auto targets = Resolve(paths);
  if (!targets) return std::unexpected(targets.error());
  return jobs_->StartVerify(*std::move(targets));
}

Result<nlohmann::json> App::Job(std::uint64_t id) { return jobs_->Describe(id); }

nlohmann::json App::Status() {
  struct Mounted {
    MountSpec spec;
    std::shared_ptr<Tree> tree;
    std::size_t parked = 0;
  };
  std::vector<Mounted> mounted;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, served] : mounts_) {
      mounted.push_back({served.spec, served.tree, served.session->Parked()});
    }
  }
  auto mounts = nlohmann::json::array();
  for (const Mounted& mount : mounted) {
    mounts.push_back(DescribeMount(mount.spec, *mount.tree, *cache_, mount.parked));
  }
  const index::CacheStats stats = cache_->Stats();
  const bool supervised = options_.broker->connected();
  const std::string problem =
      supervised ? stats.last_problem
                 : "the supervisor is gone: mounts are served, but nothing restarts this process "
                   "and no mount can be added";
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - started_;
  return {{"version", MODELFS_VERSION},
          {"pid", ::getpid()},
          {"supervisor_pid", supervised ? ::getppid() : 0},
          {"uptime_seconds", uptime.count()},
          {"healthy", problem.empty()},
          {"problem", problem},
          {"log", LogPathInUse(options_.daemon.control_socket)},
          {"cache", DescribeCache(options_.daemon, stats)},
          {"mounts", std::move(mounts)},
          {"jobs", jobs_->DescribeAll()}};
}

}  // namespace modelfs::fs
