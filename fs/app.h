#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/fault_points.h"
#include "fetch/base/mutex.h"
#include "fetch/base/worker_pool.h"
#include "fetch/fetch_context.h"
#include "fs/config.h"
#include "fs/control/control_server.h"
#include "fs/control/daemon_api.h"
#include "fs/daemon/broker_client.h"
#include "fs/daemon/config_watcher.h"
#include "fs/daemon/jobs.h"
#include "fs/daemon/kept_mount.h"
#include "fs/daemon/owner_lock.h"
#include "fs/http/http_server.h"
#include "fs/http/mlflow_webhook.h"
#include "fs/session/session.h"
#include "fs/spec.h"
#include "fs/tree/tree.h"
#include "index/cache.h"

namespace modelfs::fs {

/// Whether a mount is worth making whose sources do not answer.
enum class SourcePolicy : std::uint8_t {
  kMustAnswer,  ///< A new mount: a typing error should not become a mount.
  kMayBeDown,   ///< A mount that was there before: the cache still serves.
};

/// What becomes of requests that wait when a worker ends.
enum class StopMode : std::uint8_t {
  kFinal,     ///< They are answered with an error.
  kHandOver,  ///< They are left to a successor.
};

/// Everything that a worker process is made of, wired: cache, origins, mounts, control socket. The
/// one place that names concrete classes.
///
/// Threads: Mount and the DaemonApi from any; Create, Remove, Stop and the destructor from the
/// owner's. Lock order: mutex_ is taken before no other but those of a Session.
class App final : public DaemonApi {
 public:
  struct Options {
    DaemonSpec daemon;
    std::optional<OwnerLock> lock;   ///< A copy: it stays taken while the worker lives.
    BrokerClient* broker = nullptr;  ///< Borrowed; somebody calls its Next.
    FaultPoints* faults = nullptr;   ///< Borrowed, outlives the process's threads; null: none.
    std::function<void(SessionId)> on_unmounted;  ///< From any thread; Remove must follow.
    /// From any thread, once: cache or control socket could not be opened, Stop must follow.
    std::function<void(Error)> on_unusable;
  };
  /// Starts to open cache and control socket on a thread of its own, since rebuilding a lost index
  /// takes long. Errors of that (Cache::Open, ControlServer::Start) go to on_unusable.
  /// The admin server is up when it returns. Errors: those of HttpServer::Start.
  static Result<std::unique_ptr<App>> Create(Options options);
  explicit App(Options options);
  ~App() override;

  /// Makes the sources and asks them, waits for the cache, has the supervisor mount, serves, and
  /// tells the supervisor that it is ready (`request`: of its add_mount, else 0). Waits.
  /// Errors: kInvalid, kCancelled (ending), those of CheckSources, of opening and of
  /// Session::Start.
  Result<void> Mount(const MountSpec& spec, SourcePolicy policy, std::uint64_t request)
      EXCLUDES(mutex_);
  /// What is left of a mount whose worker died.
  struct Handover {
    SessionId session = 0;
    std::vector<std::byte> init;  ///< FUSE_INIT to replay.
    Fd device;                    ///< A copy of its /dev/fuse.
    Fd nodes;                     ///< NodeLog: what the node ids that the kernel holds mean.
    Fd requests;                  ///< RequestRecord: what was not answered; none: a new one.
    unsigned minor = 0;           ///< Names its connection.
  };
  /// Goes on with a mount that another process has served. Asks no source: readers wait.
  /// Errors: kInvalid, kCorrupt (the log of node ids), kCancelled, those of Session::Start.
  Result<void> Resume(const MountSpec& spec, Handover handover, std::uint64_t request)
      EXCLUDES(mutex_);
  /// Whether a session does not get on with its requests.
  bool Hangs() const EXCLUDES(mutex_);
  /// Lets go of a mount that is gone and tells the supervisor.
  void Remove(SessionId id) EXCLUDES(mutex_);
  std::vector<std::string> Mountpoints() const EXCLUDES(mutex_);
  /// What another supervisor has to know of all mounts, with copies of their descriptors.
  KeptMounts Kept() const EXCLUDES(mutex_);
  DaemonSpec daemon() const EXCLUDES(mutex_);
  /// A copy of the owner lock, for another supervisor.
  Fd CopyOfLock() const { return options_.lock ? Duplicate(options_.lock->fd()) : Fd(); }
  /// Reads every configuration again, soon.
  void ReloadConfig();

  /// Makes calls that wait fail with kCancelled, and new ones at once. Idempotent.
  void BeginStop();
  /// Ends jobs, control socket, sessions and the cache, in this order; idempotent. False: something
  /// is still held by a request that an origin has not given up, or the cache is still being
  /// opened, so that the process has to end without destroying it. Nothing is lost.
  bool Stop(StopMode mode = StopMode::kFinal);

  nlohmann::json Status() override;
  Result<void> AddMount(const MountSpec& spec) override;
  Result<void> Upgrade(const std::string& program) override;
  Result<std::uint64_t> StartJob(JobKind kind, const std::vector<std::string>& paths) override;
  Result<nlohmann::json> Job(std::uint64_t id) override;
  Result<std::string> JobOutput(std::uint64_t id) override;
  Result<std::size_t> ImportProfiles(const std::string& file) override;

 private:
  struct Served {
    MountSpec spec;
    std::shared_ptr<Tree> tree;
    std::shared_ptr<Session> session;  ///< Null until it has started.
    unsigned minor = 0;
    std::shared_ptr<RequestRecord> record;
    std::shared_ptr<Signatures> signatures;   ///< Null: nobody asks.
    std::vector<std::byte> init;              ///< FUSE_INIT, for another supervisor.
    Fd device;                                ///< A copy, likewise.
    std::string config_problem;               ///< Why the last change of the file was not taken.
    std::vector<std::string> restart_needed;  ///< Settings that were changed and wait for one.
  };
  /// What a reload has found to be wanted.
  struct Change {
    Config config;
    std::vector<Tree::Source> sources;
    std::vector<std::string> restart_needed;
    std::string text;  ///< For the log.
  };

  Result<void> StartHttp();
  bool IsOpen() const EXCLUDES(mutex_);
  /// Requires: the cache is open.
  void LimitBandwidth(std::uint64_t bytes_per_second);
  void Open();
  Result<void> OpenAll();
  Result<void> AwaitOpen() EXCLUDES(mutex_);
  Result<void> DoMount(const MountSpec& spec, SourcePolicy policy, std::uint64_t request)
      EXCLUDES(mutex_);
  Tree::Options TreeOptions(const MountSpec& spec, std::vector<Tree::Source> sources,
                            std::shared_ptr<NodeLog> nodes);
  Result<void> Serve(const MountSpec& spec, const std::shared_ptr<Tree>& tree, Handover handover,
                     std::uint64_t request) EXCLUDES(mutex_);
  std::shared_ptr<Signatures> MakeSignatures(const MountSpec& spec, std::shared_ptr<Tree> tree);
  Result<Tree::Source> MakeSource(const SourceSpec& source);
  Result<std::vector<Tree::Source>> MakeSources(const MountSpec& spec);
  /// The object of fs/control/README.md but for its jobs; of mounts only that at `mountpoint`, or
  /// all when it is empty.
  nlohmann::json DescribeSelf(const std::string& mountpoint) EXCLUDES(mutex_);
  Result<std::vector<JobTarget>> Resolve(const std::vector<std::string>& paths) const;
  static void LetGo(Served served, StopMode mode);

  // Reloading, on the thread `config`.
  void Reload(SessionId id) EXCLUDES(mutex_);
  Result<Change> Prepare(const MountSpec& running, const Tree& tree);
  void Apply(SessionId id, Change change, Tree& tree) EXCLUDES(mutex_);
  std::vector<std::string> ApplyDaemon(const DaemonSpec& wanted) EXCLUDES(mutex_);

  // The admin server.
  HttpAnswer Ready() const EXCLUDES(mutex_);
  HttpAnswer Metrics() EXCLUDES(mutex_);
  HttpAnswer TakeWebhook(const HttpRequest& request) EXCLUDES(mutex_);

  const Options options_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::stop_source stopping_;
  std::unique_ptr<fetch::FetchContext> fetch_;
  // Written by `open` before opened_ is set, read by others after that.
  std::shared_ptr<index::Cache> cache_;
  std::unique_ptr<Jobs> jobs_;
  std::unique_ptr<WorkerPool> sign_pool_;    ///< For Signatures; outlives sessions.
  std::unique_ptr<WorkerPool> report_pool_;  ///< For the files of `.modelfs/`; outlives sessions.
  mutable Mutex mutex_;
  CondVar opened_changed_;
  std::optional<Result<void>> opened_ GUARDED_BY(mutex_);
  DaemonSpec daemon_ GUARDED_BY(mutex_);  ///< As it runs: a reload changes some of it.
  std::uint64_t reloads_ GUARDED_BY(mutex_) = 0;
  std::uint64_t failed_reloads_ GUARDED_BY(mutex_) = 0;
  std::map<SessionId, Served> mounts_ GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<Tree>> old_trees_ GUARDED_BY(mutex_);  ///< Of mounts that are gone.
  std::set<SessionId> gone_early_ GUARDED_BY(mutex_);  ///< Unmounted before Mount had returned.
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<HttpServer> http_;
  MlflowWebhook webhook_;
  std::string http_address_;  ///< Written before any thread starts.
  std::unique_ptr<ConfigWatcher> watcher_;
  std::jthread opening_;
};

}  // namespace modelfs::fs
