#include "fs/app.h"

#include <fmt/format.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/vfs.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "fetch/base/thread.h"
#include "fs/daemon/cache_limits.h"
#include "fs/daemon/known_reports.h"
#include "fs/daemon/source_check.h"
#include "fs/daemon/source_factory.h"
#include "fs/tree/listing_store.h"

namespace modelfs::fs {
namespace {

/// So that a wrong name, key or endpoint is told within ten seconds.
constexpr std::chrono::milliseconds kProbeLimit{8'000};
constexpr std::chrono::milliseconds kMountLimit{30'000};
/// No request keeps a thread busy for so long, even on a machine that is far too slow.
constexpr std::chrono::milliseconds kHangLimit{8'000};
/// How long Stop waits for requests that origins still have in flight.
constexpr std::chrono::milliseconds kLetGoLimit{2'000};
constexpr std::chrono::milliseconds kHandOverLimit{20};  // Readers wait meanwhile.
constexpr int kSignThreads = 2;
constexpr std::chrono::hours kForgetListings{24 * 30};

Result<TrustAnchor> LoadAnchor(const MountSpec& spec) {
  if (spec.signature == SignaturePolicy::kOff) return TrustAnchor();
  return spec.signature_key.empty() ? TrustAnchor::LoadCertificates(spec.signature_ca)
                                    : TrustAnchor::LoadKey(spec.signature_key);
}

Passthrough PassthroughFor(const DaemonSpec& daemon) {
  if (!daemon.passthrough) return Passthrough::kOff;
  struct statfs filesystem{};
  const bool overlay = ::statfs(daemon.cache_directory.c_str(), &filesystem) == 0 &&
                       filesystem.f_type == OVERLAYFS_SUPER_MAGIC;
  return overlay ? Passthrough::kStacked : Passthrough::kOn;
}

std::unexpected<Error> Ending() { return Fail(Errc::kCancelled, "the daemon is ending"); }

}  // namespace

App::App(Options options) : options_(std::move(options)), daemon_(options_.daemon) {}

App::~App() { Stop(); }

Result<std::unique_ptr<App>> App::Create(Options options) {
  auto app = std::make_unique<App>(std::move(options));
  app->fetch_ = std::make_unique<fetch::FetchContext>(fetch::FetchContext::Options{});
  if (auto started = app->StartHttp(); !started) return std::unexpected(started.error());
  app->report_pool_ = std::make_unique<WorkerPool>("report", 1);
  app->sign_pool_ = std::make_unique<WorkerPool>("sign", kSignThreads);
  app->watcher_ = std::make_unique<ConfigWatcher>(
      ConfigWatcher::Options{.reload = [a = app.get()](SessionId id) { a->Reload(id); }});
  app->opening_ = StartThread("open", [a = app.get()] { a->Open(); });
  return app;
}

void App::Open() {
  auto opened = OpenAll();
  {
    MutexLock lock(mutex_);
    opened_ = opened;
    opened_changed_.NotifyAll();
  }
  if (opened) return;
  spdlog::error("app.open_failed error=\"{}\"", opened.error().what);
  options_.on_unusable(std::move(opened.error()));
}

Result<void> App::AwaitOpen() {
  MutexLock lock(mutex_);
  while (!opened_ && !stopping_.stop_requested()) opened_changed_.Wait(mutex_);
  return opened_ ? *opened_ : Ending();
}

Result<void> App::OpenAll() {
  const DaemonSpec& daemon = options_.daemon;
  auto cache = index::Cache::Open({.directory = daemon.cache_directory,
                                   .index_directory = daemon.index_directory,
                                   .chunk_size_bytes = daemon.chunk_size_bytes,
                                   .memory_bytes = daemon.memory_bytes - MemoryCacheBytes(daemon),
                                   .limits = ResolveLimits(daemon),
                                   .io_backend = daemon.io_backend,
                                   .shared = ResolveShared(daemon),
                                   .faults = options_.faults,
                                   .timer = &fetch_->timer()});
  if (!cache) return std::unexpected(cache.error());
  cache_ = *std::move(cache);
  LimitBandwidth(daemon.bandwidth_limit);
  if (const auto count = ListingStore::Prune(cache_->records(), kForgetListings); count > 0) {
    spdlog::info("listing.pruned count={}", count);
  }
  if (stopping_.stop_requested()) return Ending();
  jobs_ = std::make_unique<Jobs>(cache_);
  auto control = ControlServer::Start(
      {.socket_path = daemon.control_socket, .api = this, .peer_uid = nullptr});
  if (!control) return std::unexpected(control.error());
  control_ = *std::move(control);
  spdlog::info("app.open cache={} control={}", daemon.cache_directory, daemon.control_socket);
  return {};
}

void App::LimitBandwidth(std::uint64_t bytes_per_second) {
  fetch_->bandwidth().SetLimit(bytes_per_second);
  cache_->SetHedging(bytes_per_second == 0);
}

Result<Tree::Source> App::MakeSource(const SourceSpec& source) {
  return fs::MakeSource(*fetch_, source);
}

Result<std::vector<Tree::Source>> App::MakeSources(const MountSpec& spec) {
  std::vector<Tree::Source> sources;
  for (const SourceSpec& spec_of_one : spec.sources) {
    auto source = MakeSource(spec_of_one);
    if (!source) return std::unexpected(source.error());
    sources.push_back(*std::move(source));
  }
  return sources;
}

std::shared_ptr<Signatures> App::MakeSignatures(const MountSpec& spec, std::shared_ptr<Tree> tree) {
  if (spec.signature == SignaturePolicy::kOff) return nullptr;
  auto anchor = LoadAnchor(spec);
  // It was there when the mount was made: one that trusts nobody keeps what was promised.
  if (!anchor) spdlog::error("signature.no_anchor error=\"{}\"", anchor.error().what);
  return std::make_shared<Signatures>(
      Signatures::Options{.policy = spec.signature,
                          .anchor = anchor ? *std::move(anchor) : TrustAnchor(),
                          .tree = std::move(tree),
                          .pool = sign_pool_.get()});
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
  if (auto anchor = LoadAnchor(spec); !anchor) return std::unexpected(anchor.error());
  auto sources = MakeSources(spec);
  if (!sources) return std::unexpected(sources.error());
  auto checked = CheckSources(*sources, kProbeLimit, stopping_.get_token());
  if (!checked && (policy == SourcePolicy::kMustAnswer || stopping_.stop_requested())) {
    return checked;
  }
  // After the sources: a wrong name is told at once, also while a lost index is being rebuilt.
  if (auto opened = AwaitOpen(); !opened) return opened;
  auto nodes = NodeLog::Create(options_.faults);
  if (!nodes) spdlog::error("app.nodes_not_kept error=\"{}\"", nodes.error().what);
  auto tree =
      Tree::Create(TreeOptions(spec, *std::move(sources), nodes ? *std::move(nodes) : nullptr));
  auto mounted = options_.broker->RequestMount(spec, kMountLimit);
  if (!mounted) return std::unexpected(mounted.error());
  const SessionId id = mounted->session;
  if (tree->options().nodes) {
    if (auto copy = tree->options().nodes->Share()) {
      options_.broker->Send(NodesMessage{.session = id, .log = *std::move(copy)});
    }
  }
  auto served = Serve(
      spec, tree, {.session = id, .device = std::move(mounted->device), .minor = mounted->minor},
      request);
  if (!served) options_.broker->Send(UnmountRequestMessage{id});
  return served;
}

Result<void> App::Resume(const MountSpec& spec, Handover handover, std::uint64_t request) {
  if (stopping_.stop_requested()) return Ending();
  auto nodes = NodeLog::Adopt(std::move(handover.nodes), options_.faults);
  if (!nodes) return std::unexpected(nodes.error());
  auto sources = MakeSources(spec);
  if (!sources) return std::unexpected(sources.error());
  if (auto opened = AwaitOpen(); !opened) return opened;
  auto tree = Tree::Resume(TreeOptions(spec, *std::move(sources), *std::move(nodes)));
  if (!tree) return std::unexpected(tree.error());
  return Serve(spec, *tree, std::move(handover), request);
}

Tree::Options App::TreeOptions(const MountSpec& spec, std::vector<Tree::Source> sources,
                               std::shared_ptr<NodeLog> nodes) {
  auto reports = std::make_shared<KnownReports>(KnownReports::Options{
      .version = MODELFS_VERSION,
      .status = [this, mountpoint = spec.mountpoint] { return DescribeSelf(mountpoint); },
      .cache = cache_,
      .pool = report_pool_.get()});
  return {.sources = std::move(sources),
          .cache = cache_,
          .nodes = std::move(nodes),
          .listing_ttl = spec.listing_ttl,
          .uid = spec.uid,
          .gid = spec.gid,
          .umask = spec.umask,
          .timer = &fetch_->timer(),
          .alias_poll = spec.alias_poll,
          .random = fetch_->random(),
          .warm_promotions = spec.warm_promotions,
          .reports = std::move(reports)};
}

Result<void> App::Serve(const MountSpec& spec, const std::shared_ptr<Tree>& tree, Handover handover,
                        std::uint64_t request) {
  const SessionId id = handover.session;
  const bool resumed = !handover.init.empty();
  auto record = handover.requests ? RequestRecord::Adopt(std::move(handover.requests))
                                  : RequestRecord::Create();
  if (!record) return std::unexpected(record.error());
  if (auto copy = (*record)->Share()) {
    options_.broker->Send(RequestsMessage{.session = id, .record = *std::move(copy)});
  }
  Served served{.spec = spec,
                .tree = tree,
                .session = nullptr,
                .minor = handover.minor,
                .record = *record,
                .signatures = MakeSignatures(spec, tree),
                .init = handover.init,
                .device = Duplicate(handover.device.get())};
  auto session = Session::Start(std::move(handover.device), tree,
                                {.passthrough = PassthroughFor(options_.daemon),
                                 .read_timeout = spec.read_timeout,
                                 .faults = options_.faults,
                                 .saved_init = std::move(handover.init),
                                 .signatures = served.signatures,
                                 .record = *record,
                                 .resend = options_.daemon.resend,
                                 .on_init =
                                     [&](std::span<const std::byte> init) {
                                       served.init.assign(init.begin(), init.end());
                                       options_.broker->Send(SaveInitMessage{
                                           .session = id, .init = {init.begin(), init.end()}});
                                     },
                                 .on_unmounted = [this, id] { options_.on_unmounted(id); }});
  if (!session) return std::unexpected(session.error());
  bool gone = false;
  {
    MutexLock lock(mutex_);
    served.session = *std::move(session);
    mounts_.emplace(id, std::move(served));
    gone = gone_early_.erase(id) > 0;
  }
  options_.broker->Send(ReadyMessage{.request = request, .session = id});
  spdlog::info("app.mounted session={} mountpoint={} resumed={}", id, spec.mountpoint, resumed);
  if (spec.config.known()) watcher_->Watch(id, spec.config.file);
  if (gone) options_.on_unmounted(id);
  return {};
}

bool App::Hangs() const {
  MutexLock lock(mutex_);
  return std::ranges::any_of(
      mounts_, [](const auto& entry) { return entry.second.session->Hangs(kHangLimit); });
}

void App::Remove(SessionId id) {
  watcher_->Forget(id);
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
  LetGo(std::move(served), StopMode::kFinal);
  options_.broker->Send(SessionGoneMessage{id});
}

void App::LetGo(Served served, StopMode mode) {
  if (served.signatures) served.signatures->Stop();
  if (mode == StopMode::kHandOver) {
    served.session->Leave();
  } else {
    served.session->Stop();
  }
  served.session.reset();
}

std::vector<std::string> App::Mountpoints() const {
  std::vector<std::string> mountpoints;
  MutexLock lock(mutex_);
  mountpoints.reserve(mounts_.size());
  for (const auto& [id, served] : mounts_) mountpoints.push_back(served.spec.mountpoint);
  return mountpoints;
}

KeptMounts App::Kept() const {
  KeptMounts kept;
  MutexLock lock(mutex_);
  for (const auto& [id, served] : mounts_) {
    KeptMount mount{.spec = served.spec,
                    .minor = served.minor,
                    .init = served.init,
                    .device = Duplicate(served.device.get()),
                    .nodes = {},
                    .requests = {}};
    if (const auto& nodes = served.tree->options().nodes; nodes && !nodes->broken()) {
      if (auto copy = nodes->Share()) mount.nodes = *std::move(copy);
    }
    if (auto copy = served.record->Share()) mount.requests = *std::move(copy);
    kept.emplace(id, std::move(mount));
  }
  return kept;
}

DaemonSpec App::daemon() const {
  MutexLock lock(mutex_);
  return daemon_;
}

void App::BeginStop() {
  stopping_.request_stop();
  options_.broker->Close();
  MutexLock lock(mutex_);
  opened_changed_.NotifyAll();
}

bool App::Stop(StopMode mode) {
  BeginStop();
  {
    MutexLock lock(mutex_);
    if (!opened_) return false;
  }
  if (opening_.joinable()) opening_.join();
  control_.reset();  // Waits for its calls, which fail or end soon by now.
  http_.reset();
  watcher_.reset();
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
    LetGo(std::move(served), mode);
  }
  mounts.clear();
  sign_pool_.reset();
  report_pool_.reset();  // There is no session any more that could ask.
  if (!fetch_) return true;
  // Listings in flight may hold a tree, and it the cache, until their origin gives up.
  const auto limit = mode == StopMode::kHandOver ? kHandOverLimit : kLetGoLimit;
  const auto until = std::chrono::steady_clock::now() + limit;
  const auto held = [&] {
    return std::ranges::any_of(trees, [](const auto& tree) { return !tree.expired(); });
  };
  while (held() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const bool was_open = cache_ != nullptr;
  cache_.reset();
  if (was_open && mode == StopMode::kFinal && options_.daemon.cache_in_memory) {
    std::error_code error;  // Memory that nobody would use again.
    std::filesystem::remove_all(options_.daemon.cache_directory, error);
  }
  if (held()) return false;
  fetch_.reset();
  return true;
}

}  // namespace modelfs::fs
