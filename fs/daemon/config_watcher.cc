#include "fs/daemon/config_watcher.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "fetch/base/thread.h"

namespace modelfs::fs {
namespace {

/// What tells one content of a file from another without reading it.
std::string LookOf(const std::string& file) {
  if (file.empty()) return {};
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) return fmt::format("errno {}", errno);
  return fmt::format("{} {} {} {}.{} {}.{}", info.st_dev, info.st_ino, info.st_size,
                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ctim.tv_sec,
                     info.st_ctim.tv_nsec);
}

}  // namespace

ConfigWatcher::ConfigWatcher(Options options) : options_(std::move(options)) {
  thread_ = StartThread("config", [this] { Run(); });
}

void ConfigWatcher::Watch(SessionId id, std::string file) {
  MutexLock lock(mutex_);
  watched_.insert_or_assign(id, Watched{.file = std::move(file)});
  changed_.NotifyAll();
}

void ConfigWatcher::Forget(SessionId id) {
  MutexLock lock(mutex_);
  watched_.erase(id);
}

void ConfigWatcher::ReloadAll() {
  MutexLock lock(mutex_);
  asked_ = true;
  for (auto& [id, watched] : watched_) watched.wanted = true;
  changed_.NotifyAll();
}

void ConfigWatcher::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void ConfigWatcher::Run() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      const auto until = std::chrono::steady_clock::now() + options_.period;
      while (!stopping_ && !asked_) {
        if (watched_.empty()) {
          changed_.Wait(mutex_);
        } else if (!changed_.WaitUntil(mutex_, until)) {
          break;
        }
      }
      if (stopping_) return;
      asked_ = false;
    }
    LookAtAll();
  }
}

void ConfigWatcher::LookAtAll() {
  std::map<SessionId, std::string> files;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, watched] : watched_) files.emplace(id, watched.file);
  }
  for (auto& [id, file] : files) file = LookOf(file);  // May touch a slow disk: without the lock.
  std::vector<SessionId> due;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, look] : files) {
      const auto found = watched_.find(id);
      if (found == watched_.end()) continue;
      Watched& watched = found->second;
      const bool settled = std::exchange(watched.seen, look) == look && look != watched.loaded;
      if (!settled && !watched.wanted) continue;
      watched.loaded = look;
      watched.wanted = false;
      due.push_back(id);
    }
  }
  for (const SessionId id : due) {
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
    }
    options_.reload(id);
  }
}

}  // namespace modelfs::fs
