#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "fetch/base/mutex.h"
#include "fs/daemon/broker_protocol.h"

namespace modelfs::fs {

/// Notices when the configuration file of a mount changes, in place or by a swap of the symlinks
/// above it, as Kubernetes does with a ConfigMap.
///
/// A file is looked at twice a second, and counts as changed once it has looked the same twice: it
/// may be in the middle of being written. inotify would have to follow every symlink on the way.
/// Threads: all methods from any; `reload` is called on a thread `config` of its own.
class ConfigWatcher {
 public:
  struct Options {
    std::function<void(SessionId)> reload;
    std::chrono::milliseconds period{500};
  };
  explicit ConfigWatcher(Options options);
  ~ConfigWatcher() { Stop(); }

  /// From now on `id` is reloaded when `file` changes, and once soon: it may have changed since it
  /// was read. With an empty `file` only ReloadAll does.
  void Watch(SessionId id, std::string file) EXCLUDES(mutex_);
  void Forget(SessionId id) EXCLUDES(mutex_);
  /// Soon, changed or not.
  void ReloadAll() EXCLUDES(mutex_);
  /// Waits for a reload that is under way. Idempotent.
  void Stop() EXCLUDES(mutex_);

 private:
  struct Watched {
    std::string file;
    std::string loaded;  ///< Look of the file that was reloaded last.
    std::string seen;    ///< Look of it the last time.
    bool wanted = false;
  };
  void Run() EXCLUDES(mutex_);
  void LookAtAll() EXCLUDES(mutex_);

  const Options options_;
  Mutex mutex_;
  CondVar changed_;
  std::map<SessionId, Watched> watched_ GUARDED_BY(mutex_);
  bool asked_ GUARDED_BY(mutex_) = false;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::jthread thread_;
};

}  // namespace modelfs::fs
