#include "fs/session/open_reports.h"

#include <utility>

namespace modelfs::fs {

std::uint64_t OpenReports::Open(std::string text) {
  auto kept = std::make_shared<const std::string>(std::move(text));
  MutexLock lock(mutex_);
  texts_.emplace(next_, std::move(kept));
  return next_++;
}

void OpenReports::Adopt(std::uint64_t handle, std::string text) {
  auto kept = std::make_shared<const std::string>(std::move(text));
  MutexLock lock(mutex_);
  texts_.insert_or_assign(handle, std::move(kept));
}

OpenReports::Text OpenReports::Find(std::uint64_t handle) const {
  MutexLock lock(mutex_);
  const auto found = texts_.find(handle);
  return found == texts_.end() ? nullptr : found->second;
}

void OpenReports::Release(std::uint64_t handle) {
  MutexLock lock(mutex_);
  texts_.erase(handle);
}

}  // namespace modelfs::fs
