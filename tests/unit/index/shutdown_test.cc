#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/faulty_origin.h"
#include "tests/support/script_fault_points.h"
#include "tests/unit/index/cache_fixture.h"

namespace modelfs::test {
namespace {

using index::Priority;
using ShutdownTest = CacheFixture;

TEST_F(ShutdownTest, DoesNotWaitForAHangingOrigin) {
  const auto bytes = MakeBytes(1, 8 * kChunk);
  origin_->Put("m", bytes);
  auto hanging = std::make_shared<FaultyOrigin>(origin_, std::vector(4, OriginFault::kHang));
  OpenCache();
  auto object = cache_->Get(origin_->IdOf("m"), hanging);
  auto read = StartRead(object, 0, 100);
  auto warm = std::make_shared<std::promise<Result<void>>>();
  object->FetchAll(Priority::kPlan, [warm](Result<void> r) { warm->set_value(std::move(r)); });
  ASSERT_TRUE(Eventually([&] { return hanging->reads() >= 2; }));
  cache_.reset();
  EXPECT_EQ(Await(std::move(read)).error().code, Errc::kCancelled);
  EXPECT_EQ(Await(warm->get_future()).error().code, Errc::kCancelled);
  // What outlives the cache answers, and late completions do no harm.
  EXPECT_EQ(Read(object, 0, 100).error().code, Errc::kCancelled);
  object->Want({0, 1000}, Priority::kNear);
  object.reset();
  hanging.reset();
}

TEST_F(ShutdownTest, BytesThatComeLateAreDropped) {
  const auto bytes = MakeBytes(2, 8 * kChunk);
  const auto id = origin_->Put("m", bytes);
  origin_->Hold();
  OpenCache();
  auto read = StartRead(Get("m"), 0, bytes.size());
  ASSERT_TRUE(origin_->AwaitRequests(1));
  origin_->Release(3 * kChunk + 5);
  ASSERT_TRUE(origin_->AwaitQuiet());
  cache_.reset();
  EXPECT_EQ(Await(std::move(read)).error().code, Errc::kCancelled);
  origin_->ReleaseAll();
  ASSERT_TRUE(origin_->AwaitQuiet());
  // What had arrived whole was kept.
  OpenCache();
  EXPECT_EQ(cache_->Find(id)->cached_bytes, 3 * kChunk);
  EXPECT_EQ(Read(Get("m"), 0, bytes.size()).value(), bytes);
  EXPECT_EQ(origin_->bytes_asked(), bytes.size() + 5 * kChunk);
}

TEST_F(ShutdownTest, ReadsBehindAnUnloadedMapAreCancelled) {
  const auto bytes = MakeBytes(3, 2 * kChunk);
  origin_->Put("a", bytes);
  origin_->Put("b", bytes);
  ScriptFaultPoints faults;
  faults.Block("local_tier.create");
  auto options = MakeOptions();
  options.faults = &faults;
  OpenCache(options);
  ASSERT_TRUE(Read(Get("a"), 0, 10));
  ASSERT_TRUE(faults.AwaitHits("local_tier.create", 1));  // The `open` thread stands still.
  auto read = StartRead(Get("b"), 0, 10);
  std::jthread closer([&] { cache_.reset(); });
  EXPECT_EQ(Await(std::move(read)).error().code, Errc::kCancelled);
  faults.Unblock("local_tier.create");
  closer.join();
  OpenCache();
  EXPECT_EQ(cache_->Find(origin_->IdOf("a"))->cached_bytes, kChunk);
}

TEST_F(ShutdownTest, VerifyUnderWayIsCancelled) {
  origin_->Put("m", MakeBytes(4, 20 * kChunk));
  OpenCache();
  ASSERT_TRUE(FetchAll(Get("m")));
  std::promise<void> started;
  std::promise<void> go;
  auto report = std::make_shared<std::promise<Result<index::VerifyReport>>>();
  cache_->Verify(
      {},
      [&, first = true](std::uint64_t) mutable {
        if (std::exchange(first, false)) {
          started.set_value();
          go.get_future().wait();
        }
        return true;
      },
      [report](Result<index::VerifyReport> r) { report->set_value(std::move(r)); });
  started.get_future().wait();
  std::jthread closer([&] { cache_.reset(); });
  auto object = std::shared_ptr<index::CachedObject>();
  go.set_value();
  const auto result = Await(report->get_future());
  EXPECT_TRUE(result || result.error().code == Errc::kCancelled);
}

}  // namespace
}  // namespace modelfs::test
