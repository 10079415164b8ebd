#include "fs/session/open_files.h"

#include <utility>

namespace modelfs::fs {

Result<std::shared_ptr<index::CachedObject>> OpenFiles::Open(std::uint64_t id) {
  {
    MutexLock lock(mutex_);
    auto found = files_.find(id);
    if (found != files_.end()) {
      ++found->second.opens;
      return found->second.object;
    }
  }
  auto object = tree_->Open(id);
  if (!object) return object;
  MutexLock lock(mutex_);
  File& file = files_[id];
  if (!file.object) file.object = std::move(*object);
  ++file.opens;
  return file.object;
}

Result<std::shared_ptr<index::CachedObject>> OpenFiles::Find(std::uint64_t id) {
  {
    MutexLock lock(mutex_);
    auto found = files_.find(id);
    if (found != files_.end()) return found->second.object;
  }
  return Open(id);  // Opened in the life of a process before this one.
}

void OpenFiles::Release(std::uint64_t id) {
  std::shared_ptr<index::CachedObject> last;  // Dropped after the lock.
  MutexLock lock(mutex_);
  auto found = files_.find(id);
  if (found == files_.end()) return;
  if (--found->second.opens == 0) {
    last = std::move(found->second.object);
    files_.erase(found);
  }
  lock.Unlock();
}

}  // namespace modelfs::fs
