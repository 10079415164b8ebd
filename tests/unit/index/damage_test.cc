#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/script_fault_points.h"
#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using index::RepairItem;
using index::VerifyReport;

/// What is done about damage, and what a kill leaves behind.
class DamageTest : public CacheFixture {
 protected:
  void SetUp() override {
    id_ = origin_->Put("m", bytes_);
    OpenCache();
    ASSERT_TRUE(FetchAll(Get("m")));
  }
  void Flip(std::uint64_t offset) {
    std::fstream file(PathOf(id_) / "data", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int c = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(c ^ 1));
  }
  VerifyReport Repair(std::shared_ptr<fetch::Origin> origin) {
    auto promise = std::make_shared<std::promise<Result<VerifyReport>>>();
    cache_->Repair({RepairItem{id_, std::move(origin)}}, {},
                   [promise](Result<VerifyReport> r) { promise->set_value(std::move(r)); });
    return Await(promise->get_future()).value();
  }
  const std::vector<std::byte> bytes_ = MakeBytes(31, 12 * kChunk + 9);
  fetch::ObjectId id_;
};

TEST_F(DamageTest, RepairFetchesWhatIsDamagedAndNoMore) {
  Flip(17);
  Flip(7 * kChunk);
  const auto report = Repair(origin_);
  EXPECT_EQ(report.bad_chunks, 2u);
  EXPECT_EQ(report.repaired_chunks, 2u);
  EXPECT_EQ(report.bad.size(), 1u);
  EXPECT_EQ(origin_->bytes_asked(), bytes_.size() + 2 * kChunk);
  EXPECT_TRUE(cache_->Find(id_)->whole);
  EXPECT_EQ(Verify()->bad_chunks, 0u);
  EXPECT_EQ(Read(Get("m"), 0, bytes_.size()).value(), bytes_);
}

TEST_F(DamageTest, RepairSaysWhatItCouldNotGet) {
  Flip(17);
  origin_->Put("m", MakeBytes(32, 100));  // Replaced: the old bytes are gone.
  const auto report = Repair(origin_);
  EXPECT_EQ(report.bad_chunks, 1u);
  EXPECT_EQ(report.repaired_chunks, 0u);
  ASSERT_EQ(report.bad.size(), 2u);
  EXPECT_NE(report.bad[1].find("replaced at the origin"), std::string::npos) << report.bad[1];
}

TEST_F(DamageTest, WithoutAnOriginItIsOnlyReported) {
  Flip(17);
  const auto report = Repair(nullptr);
  EXPECT_EQ(report.bad_chunks, 1u);
  EXPECT_EQ(report.repaired_chunks, 0u);
}

/// A place where the disk gives back something else is left alone for some seconds, and then tried
/// again.
TEST_F(DamageTest, ADiskThatHasHealedIsBelievedAgain) {
  ScriptFaultPoints faults;
  auto options = MakeOptions();
  options.faults = &faults;
  OpenCache(options);  // In this life nothing is checked yet.
  faults.FailNext("local_tier.check", {Errc::kIo, "test"}, 0);
  ASSERT_TRUE(Eventually([&] {
    EXPECT_EQ(Read(Get("m"), 10, 100).value(), Part(bytes_, 10, 100));
    return cache_->Stats().quarantined_chunks == 2;
  }));
  const auto through = cache_->Stats().reads_through;
  ASSERT_TRUE(Eventually([&] {
    EXPECT_EQ(Read(Get("m"), 10, 100).value(), Part(bytes_, 10, 100));
    return cache_->Stats().reads_through > through;
  }));
  faults.Heal("local_tier.check");
  EXPECT_TRUE(Eventually([&] { return FetchAll(Get("m")).has_value(); }));
  EXPECT_TRUE(Get("m")->Status().whole);
  cache_.reset();  // Before the fault points.
}

/// Killed in the middle of evicting and fetching: blocks are counted exactly afterwards.
TEST(KilledUnderALimitTest, BlocksAreCountedExactly) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr std::uint64_t kChunk = 256 << 10;
  TempDir dir;
  const char* outer = std::getenv("MODELFS_TEST_KILLED_DIR");
  const std::filesystem::path path = outer != nullptr ? outer : dir.path().string();
  ::setenv("MODELFS_TEST_KILLED_DIR", path.c_str(), 1);
  auto origin = std::make_shared<FakeOrigin>();
  std::vector<fetch::ObjectId> ids;
  for (std::uint64_t i = 0; i < 6; ++i) {
    ids.push_back(origin->Put("m" + std::to_string(i), MakeBytes(i, 20 * kChunk + i)));
  }
  index::Cache::Options options;
  options.directory = path / "cache";
  options.chunk_size_bytes = kChunk;
  options.limits.size_bytes = 50 * kChunk;
  EXPECT_EXIT(
      {
        auto cache = index::Cache::Open(options);
        for (const auto& id : ids) {
          std::atomic<bool> done{false};
          (*cache)->Get(id, origin)->FetchAll(index::Priority::kPlan, [&done](const Result<void>&) {
            done = true;
          });
          while (!done) {
            if ((*cache)->Stats().evicted_objects >= 2) ::raise(SIGKILL);
            std::this_thread::yield();
          }
        }
        std::_Exit(1);
      },
      ::testing::KilledBySignal(SIGKILL), "");
  ::unsetenv("MODELFS_TEST_KILLED_DIR");
  auto cache = index::Cache::Open(options);
  ASSERT_TRUE(cache) << cache.error().what;
  std::uint64_t blocks = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(path / "cache" / "objects")) {
    struct stat info{};
    if (::lstat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      blocks += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
  }
  EXPECT_GT(blocks, 0u);
  EXPECT_EQ((*cache)->Stats().allocated_bytes, blocks);
  EXPECT_LE(blocks, options.limits.size_bytes);
}

}  // namespace
}  // namespace modelfs::test
