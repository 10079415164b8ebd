#include <sys/stat.h>

#include <fstream>

#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using CacheTest = CacheFixture;

TEST_F(CacheTest, ReadsWhatTheOriginHas) {
  const auto bytes = MakeBytes(1, 5 * kChunk + 123);
  origin_->Put("m", bytes);
  OpenCache();
  const auto object = Get("m");
  EXPECT_EQ(Read(object, 0, bytes.size() + 1).value(), bytes);
  EXPECT_EQ(Read(object, kChunk - 10, 20).value(), Part(bytes, kChunk - 10, 20));
  EXPECT_EQ(Read(object, bytes.size() - 5, 100).value(), Part(bytes, bytes.size() - 5, 5));
  EXPECT_TRUE(Read(object, bytes.size(), 1).value().empty());
}

TEST_F(CacheTest, KeepsEverythingOverARestart) {
  const auto bytes = MakeBytes(2, 9 * kChunk + 1);
  const auto id = origin_->Put("m", bytes);
  OpenCache();
  ASSERT_TRUE(FetchAll(Get("m")));
  const std::size_t before = origin_->requests().size();
  OpenCache();
  EXPECT_TRUE(cache_->Find(id)->whole);
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
  EXPECT_EQ(origin_->requests().size(), before);
}

TEST_F(CacheTest, FetchesOnlyTheChunksOfARandomRead) {
  const auto bytes = MakeBytes(3, 64 * kChunk);
  origin_->Put("m", bytes);
  OpenCache();
  const auto object = Get("m");
  EXPECT_EQ(Read(object, bytes.size() - 4096, 4096).value(),
            Part(bytes, bytes.size() - 4096, 4096));
  ASSERT_TRUE(origin_->AwaitQuiet());
  EXPECT_EQ(origin_->bytes_asked(), kChunk);
}

}  // namespace
}  // namespace modelfs::test
