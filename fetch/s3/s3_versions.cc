#include "fetch/s3/s3_versions.h"

namespace modelfs::fetch {
namespace {

constexpr std::size_t kMaxVersions = 10'000;
constexpr std::size_t kMaxVersionBytes = 1024;  // As S3 limits it.

}  // namespace

std::string S3Versions::Name(const ObjectId& object) {
  std::string name = object.key;
  name.push_back('\0');
  return name.append(object.tag);
}

void S3Versions::Learn(const ObjectId& object, std::string_view version) {
  if (version.empty() || version == "null" || version.size() > kMaxVersionBytes) return;
  MutexLock lock(mutex_);
  if (refused_) return;
  if (versions_.size() >= kMaxVersions) versions_.erase(versions_.begin());
  versions_.insert_or_assign(Name(object), std::string(version));
}

std::optional<std::string> S3Versions::Find(const ObjectId& object) const {
  MutexLock lock(mutex_);
  if (refused_) return std::nullopt;
  const auto found = versions_.find(Name(object));
  if (found == versions_.end()) return std::nullopt;
  return found->second;
}

void S3Versions::Refuse() {
  MutexLock lock(mutex_);
  refused_ = true;
  versions_.clear();
}

void S3Versions::Forget(const ObjectId& object) {
  MutexLock lock(mutex_);
  versions_.erase(Name(object));
}

}  // namespace modelfs::fetch
