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
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fetch/fetch_context.h"
#include "fs/control/control_server.h"
#include "fs/control/daemon_api.h"
#include "fs/daemon/broker_client.h"
#include "fs/daemon/jobs.h"
#include "fs/daemon/owner_lock.h"
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
    std::function<void(SessionId)> on_unmounted;  ///< From any thread; Remove must follow.
  };
  /// Opens the cache, which may take long after a crash, and the control socket.
  /// Errors: those of Cache::Open and ControlServer::Start.
  static Result<std::unique_ptr<App>> Create(Options options);
  explicit App(Options options);
  ~App() override;

  /// Makes the sources, has the supervisor mount, serves, and tells the supervisor that it is
  /// ready (`request`: of its add_mount, else 0). Waits.
  /// Errors: kInvalid, kCancelled (ending), those of CheckSources and Session::Start.
  Result<void> Mount(const MountSpec& spec, SourcePolicy policy, std::uint64_t request)
      EXCLUDES(mutex_);
  /// Lets go of a mount that is gone and tells the supervisor.
  void Remove(SessionId id) EXCLUDES(mutex_);
  std::vector<std::string> Mountpoints() const EXCLUDES(mutex_);

  /// Makes calls that wait fail with kCancelled, and new ones at once. Idempotent.
  void BeginStop();
  /// Ends jobs, control socket, sessions and the cache, in this order; idempotent. False: something
  /// is still held by a request that an origin has not given up, so that the process has to end
  /// without destroying it. Nothing is lost: the cache is closed.
  bool Stop();

  nlohmann::json Status() override;
  Result<void> AddMount(const MountSpec& spec) override;
  Result<std::uint64_t> StartWarm(const std::vector<std::string>& paths) override;
  Result<std::uint64_t> StartVerify(const std::vector<std::string>& paths) override;
  Result<nlohmann::json> Job(std::uint64_t id) override;

 private:
  struct Served {
    MountSpec spec;
    std::shared_ptr<Tree> tree;
    std::shared_ptr<Session> session;  ///< Null until it has started.
  };

  Result<void> Open();
  Result<void> DoMount(const MountSpec& spec, SourcePolicy policy, std::uint64_t request)
      EXCLUDES(mutex_);
  Result<std::vector<Tree::Source>> MakeSources(const MountSpec& spec);
  Result<std::vector<JobTarget>> Resolve(const std::vector<std::string>& paths) const;
  void LetGo(Served served);

  const Options options_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::stop_source stopping_;
  std::unique_ptr<fetch::FetchContext> fetch_;
  std::shared_ptr<index::Cache> cache_;
  std::unique_ptr<Jobs> jobs_;
  mutable Mutex mutex_;
  std::map<SessionId, Served> mounts_ GUARDED_BY(mutex_);
  std::vector<std::weak_ptr<Tree>> old_trees_ GUARDED_BY(mutex_);  ///< Of mounts that are gone.
  std::set<SessionId> gone_early_ GUARDED_BY(mutex_);  ///< Unmounted before Mount had returned.
  std::unique_ptr<ControlServer> control_;
};

}  // namespace modelfs::fs
