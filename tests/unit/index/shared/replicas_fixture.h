#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "index/cache.h"
#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {

/// Caches of several replicas, each with a folder of its own, over one shared directory.
class ReplicasFixture : public CacheFixture {
 protected:
  static constexpr std::uint64_t kSegment = 1u << 20;
  static constexpr std::uint64_t kPerSegment = kSegment / kChunk;

  std::filesystem::path shared_directory() const { return dir_.path() / "shared"; }

  index::Cache::Options ReplicaOptions(const std::string& name, FaultPoints* faults = nullptr) {
    index::Cache::Options options = MakeOptions();
    options.directory = dir_.path() / name;
    options.faults = faults;
    options.shared = index::shared::SharedOptions{.directory = shared_directory(),
                                                  .segment_bytes = kSegment,
                                                  .start_jitter = std::chrono::milliseconds(0),
                                                  .files = files_};
    return options;
  }
  std::unique_ptr<index::Cache> OpenReplica(const std::string& name,
                                            FaultPoints* faults = nullptr) {
    auto cache = index::Cache::Open(ReplicaOptions(name, faults));
    EXPECT_TRUE(cache) << cache.error().what;
    return cache ? std::move(*cache) : nullptr;
  }

  std::shared_ptr<index::CachedObject> GetFrom(index::Cache& cache, const std::string& key) {
    return cache.Get(origin_->IdOf(key), origin_);
  }

  /// The folder of the only object in the shared directory; empty: there is none.
  std::filesystem::path ObjectFolder() const {
    std::error_code error;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             shared_directory() / "d", std::filesystem::directory_options::none, error)) {
      if (entry.path().filename() == "s") return entry.path().parent_path();
    }
    return {};
  }
  static std::vector<std::filesystem::path> FilesIn(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      files.push_back(entry.path());
    }
    return files;
  }
  bool AwaitSegments(std::size_t count) const {
    return Eventually([&] { return FilesIn(ObjectFolder() / "s").size() >= count; });
  }

  std::shared_ptr<index::shared::SharedFiles> files_;  ///< Null: those of the directory.
};

}  // namespace modelfs::test
