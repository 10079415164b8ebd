#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "index/cache.h"
#include "tests/support/fake_origin.h"

namespace modelfs::test {

/// Objects whose bytes are known by their names, and a cache over them that is opened, used and
/// closed. What goes wrong is remembered, the first of it, and the rest is done all the same.
///
/// Threads: one.
class CacheLife {
 public:
  static constexpr std::uint64_t kChunk = 256 << 10;

  explicit CacheLife(index::Cache::Options options);
  ~CacheLife();

  /// Chunks of 256 KiB, buffers for 32 of them, a tick of 2 ms.
  static index::Cache::Options Options(const std::filesystem::path& directory, index::IoBackend io);

  /// An object whose bytes follow from key and size.
  void Put(const std::string& key, std::uint64_t size);
  /// True when it is open. An error is not a problem yet.
  bool Open(Error* error = nullptr);
  void Close();

  index::Cache& cache() { return *cache_; }
  FakeOrigin& origin() { return *origin_; }
  fetch::ObjectId IdOf(const std::string& key) const { return ids_.at(key); }
  std::vector<std::string> keys() const;
  std::shared_ptr<index::CachedObject> Get(const std::string& key);

  /// Reads all of it in pieces and compares.
  void ReadAll(const std::string& key);
  /// What is in memory of it, compared.
  void ReadNow(const std::string& key);
  bool FetchAll(const std::string& key);
  bool Pin(const std::string& key, bool pinned);
  index::EvictReport Evict(const std::vector<std::string>& keys);
  Result<index::VerifyReport> Verify();
  /// Waits until no buffer is taken.
  void AwaitQuiet();
  bool AwaitHealthy();
  /// Polls until it is true; false after ten seconds.
  template <class Condition>
  bool Eventually(Condition condition);
  /// Fetched whole, tried until the cache keeps it.
  void KeepAll(const std::string& key);

  /// What the files of all objects take, and how many objects there are.
  std::uint64_t BlocksOnDisk() const;
  std::uint64_t ObjectsOnDisk() const;
  /// Compares what the cache believes with what is there.
  void CheckCounts();

  void Problem(std::string what);
  const std::string& problem() const { return problem_; }

 private:
  index::Cache::Options options_;
  std::shared_ptr<FakeOrigin> origin_ = std::make_shared<FakeOrigin>();
  std::map<std::string, fetch::ObjectId> ids_;
  std::map<std::string, std::vector<std::byte>> bytes_;
  std::unique_ptr<index::Cache> cache_;
  std::string problem_;
};

}  // namespace modelfs::test
