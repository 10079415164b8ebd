#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "fetch/base/mutex.h"
#include "fetch/origin.h"

namespace modelfs::fetch {

/// The version ids of pinned objects, as answers of a versioned bucket named them. With its id the
/// pinned bytes can still be had after somebody has put a newer version in their place. Listings
/// name no versions, so the first read of an object is pinned by its ETag alone.
///
/// Threads: any. Holds a bounded number; what is forgotten is pinned by its ETag again.
class S3Versions {
 public:
  /// `version`: an answer's x-amz-version-id; "" and "null" (not versioned) are passed over.
  void Learn(const ObjectId& object, std::string_view version) EXCLUDES(mutex_);
  std::optional<std::string> Find(const ObjectId& object) const EXCLUDES(mutex_);
  /// We may not read by version (s3:GetObjectVersion): never try again.
  void Refuse() EXCLUDES(mutex_);
  void Forget(const ObjectId& object) EXCLUDES(mutex_);

 private:
  static std::string Name(const ObjectId& object);

  mutable Mutex mutex_;
  std::unordered_map<std::string, std::string> versions_ GUARDED_BY(mutex_);
  bool refused_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::fetch
