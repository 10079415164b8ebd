#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "fetch/base/mutex.h"
#include "tests/support/script_fault_points.h"
#include "tests/unit/index/cache_fixture.h"
#include "tests/unit/index/manual_timer.h"

namespace modelfs::test {
namespace {

using std::chrono::milliseconds;

/// Passes reads on, but some: these bring their first bytes and then stall until the test goes on.
class StallingOrigin final : public fetch::Origin {
 public:
  explicit StallingOrigin(std::shared_ptr<FakeOrigin> good) : good_(std::move(good)) {}

  /// The read after so many more stalls after `bytes`.
  void StallNext(std::uint64_t bytes, std::size_t after = 0) {
    const MutexLock lock(mutex_);
    stalls_[reads_ + after] = bytes;
  }
  /// Lets the oldest one that stalls go on. False when there is none.
  bool GoOn() {
    const auto held = TakeHeld();
    if (held == nullptr) return false;
    good_->Read(held->object, held->range, held->sink, std::move(held->done));
    return true;
  }
  bool FailHeld(Error error) {
    const auto held = TakeHeld();
    if (held == nullptr) return false;
    held->done(std::unexpected(std::move(error)));
    return true;
  }
  std::size_t reads() const {
    const MutexLock lock(mutex_);
    return reads_;
  }
  std::size_t abandoned() const {
    const MutexLock lock(mutex_);
    return abandoned_;
  }
  std::vector<ByteRange> ranges() const {
    const MutexLock lock(mutex_);
    return ranges_;
  }

  std::string Describe() const override { return "stalling:"; }
  void List(std::string directory, Done<fetch::Listing> done) override {
    good_->List(std::move(directory), std::move(done));
  }
  fetch::ObjectId Pin(std::string_view directory, const fetch::Entry& entry) const override {
    return good_->Pin(directory, entry);
  }
  void Probe(std::chrono::milliseconds, Done<void> done) override { done({}); }
  void Read(const fetch::ObjectId& object, ByteRange range, std::shared_ptr<fetch::BodySink> sink,
            Done<void> done) override {
    std::optional<std::uint64_t> stall;
    {
      const MutexLock lock(mutex_);
      const auto found = stalls_.find(reads_++);
      if (found != stalls_.end()) stall = found->second;
      ranges_.push_back(range);
    }
    if (!stall) return good_->Read(object, range, std::move(sink), std::move(done));
    auto held = std::make_shared<Held>(object, range, sink, std::move(done));
    auto hold = [this, held, bytes = *stall](Result<void> r) {
      held->range.begin += bytes;
      if (r) return Hold(held);
      held->done(std::move(r));
    };
    if (*stall == 0) return hold({});
    good_->Read(object, ByteRange::At(range.begin, *stall), std::move(sink), std::move(hold));
  }

 private:
  struct Held {
    Held(fetch::ObjectId o, ByteRange r, std::shared_ptr<fetch::BodySink> s, Done<void> d)
        : object(std::move(o)), range(r), sink(std::move(s)), done(std::move(d)) {}
    fetch::ObjectId object;
    ByteRange range;
    std::shared_ptr<fetch::BodySink> sink;
    Done<void> done;
    std::optional<std::stop_callback<std::function<void()>>> on_stop;
  };
  void Hold(const std::shared_ptr<Held>& held) {
    {
      const MutexLock lock(mutex_);
      held_.push_back(held);
    }
    held->on_stop.emplace(held->sink->Stop(), [this, weak = std::weak_ptr(held)] {
      const auto one = weak.lock();
      {
        const MutexLock lock(mutex_);
        if (std::erase(held_, one) == 0) return;
        ++abandoned_;
      }
      one->done(Fail(Errc::kCancelled, "stalling: nobody wants it"));
    });
  }
  std::shared_ptr<Held> TakeHeld() {
    const MutexLock lock(mutex_);
    if (held_.empty()) return nullptr;
    auto held = held_.front();
    held_.erase(held_.begin());
    return held;
  }

  const std::shared_ptr<FakeOrigin> good_;
  mutable Mutex mutex_;
  std::map<std::size_t, std::uint64_t> stalls_ GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<Held>> held_ GUARDED_BY(mutex_);
  std::vector<ByteRange> ranges_ GUARDED_BY(mutex_);
  std::size_t reads_ GUARDED_BY(mutex_) = 0;
  std::size_t abandoned_ GUARDED_BY(mutex_) = 0;
};

/// A request that is late is sent once more, and its bytes are none the worse for it.
class HedgeTest : public CacheFixture {
 protected:
  static constexpr std::uint64_t kChunks = 96;

  void SetUp() override {
    bytes_ = MakeBytes(21, kChunks * kChunk);
    origin_->Put("m", bytes_);
    auto options = MakeOptions();
    options.timer = &timer_;
    options.faults = &faults_;
    OpenCache(options);
    object_ = cache_->Get(origin_->IdOf("m"), stalling_);
    // What is usual: nobody reads ahead of reads that jump about.
    for (std::uint64_t i = 0; i < 16; ++i) {
      const std::uint64_t at = (kChunks - 1 - 5 * i) * kChunk;
      ASSERT_EQ(Read(object_, at, 100).value(), Part(bytes_, at, 100));
    }
    ASSERT_TRUE(origin_->AwaitQuiet());
    before_ = stalling_->reads();
  }
  void TearDown() override {
    while (stalling_->GoOn()) {
    }
    object_.reset();
    cache_.reset();
  }

  std::vector<std::byte> bytes_;
  ManualTimer timer_;
  ScriptFaultPoints faults_;
  std::shared_ptr<StallingOrigin> stalling_ = std::make_shared<StallingOrigin>(origin_);
  std::shared_ptr<index::CachedObject> object_;
  std::size_t before_ = 0;
};

TEST_F(HedgeTest, ASecondRequestAnswers) {
  stalling_->StallNext(0);
  auto read = StartRead(object_, 0, 2 * kChunk);
  ASSERT_TRUE(Eventually([&] { return stalling_->reads() == before_ + 1; }));
  timer_.Advance(milliseconds(200));
  EXPECT_EQ(stalling_->reads(), before_ + 1) << "not late yet";
  timer_.Advance(milliseconds(200));
  EXPECT_EQ(Await(std::move(read)).value(), Part(bytes_, 0, 2 * kChunk));
  EXPECT_EQ(stalling_->reads(), before_ + 2);
  EXPECT_EQ(stalling_->ranges().back(), (ByteRange{0, 2 * kChunk}));
  ASSERT_TRUE(Eventually([&] { return stalling_->abandoned() == 1; }));
  EXPECT_EQ(cache_->Stats().hedges, 1u);
  EXPECT_EQ(cache_->Stats().hedges_won, 1u);
  EXPECT_EQ(cache_->Stats().hedge_wasted_bytes, 0u);
  ASSERT_TRUE(Eventually([&] { return cache_->Stats().fetches_in_flight == 0; }));
}

TEST_F(HedgeTest, OnlyWhatIsMissingAndWaitedForIsAskedForAgain) {
  constexpr std::uint64_t kCame = kChunk + 1000;
  stalling_->StallNext(kCame);
  // Two readers of one request: the first has its bytes, nobody waits for the last chunk.
  auto whole = StartRead(object_, 0, 3 * kChunk);
  ASSERT_TRUE(Eventually([&] { return stalling_->reads() == before_ + 1; }));
  ASSERT_TRUE(origin_->AwaitQuiet());
  timer_.Advance(milliseconds(400));
  EXPECT_EQ(Await(std::move(whole)).value(), Part(bytes_, 0, 3 * kChunk));
  EXPECT_EQ(stalling_->ranges().back(), (ByteRange{kCame, 3 * kChunk}));
}

TEST_F(HedgeTest, TheRestComesWhenTheWaitIsOver) {
  object_->Want({0, 4 * kChunk}, index::Priority::kNear);
  ASSERT_TRUE(Eventually([&] { return object_->Status().cached_bytes == 20 * kChunk; }));
  // Whatever the size of a request is, a reader waits for its first chunk alone.
  before_ = stalling_->reads();
  stalling_->StallNext(0);
  object_->Want({4 * kChunk, 6 * kChunk}, index::Priority::kNear);
  ASSERT_TRUE(Eventually([&] { return stalling_->reads() > before_; }));
  const ByteRange asked = stalling_->ranges()[before_];
  auto read = StartRead(object_, asked.begin, 10);
  timer_.Advance(milliseconds(400));
  EXPECT_EQ(Await(std::move(read)).value(), Part(bytes_, asked.begin, 10));
  EXPECT_TRUE(FetchAll(object_));
  EXPECT_EQ(Read(object_, 0, bytes_.size()).value(), bytes_);
  EXPECT_EQ(cache_->Stats().hedges_won, 1u);
}

TEST_F(HedgeTest, TheFirstGoesOnIfItIsQuickerAfterAll) {
  stalling_->StallNext(0);
  stalling_->StallNext(0, 1);
  auto read = StartRead(object_, 0, 100);
  ASSERT_TRUE(Eventually([&] { return stalling_->reads() == before_ + 1; }));
  timer_.Advance(milliseconds(400));
  ASSERT_EQ(stalling_->reads(), before_ + 2);
  ASSERT_TRUE(stalling_->GoOn());
  EXPECT_EQ(Await(std::move(read)).value(), Part(bytes_, 0, 100));
  ASSERT_TRUE(Eventually([&] { return stalling_->abandoned() == 1; }));
  EXPECT_EQ(cache_->Stats().hedges, 1u);
  EXPECT_EQ(cache_->Stats().hedges_won, 0u);
}

TEST_F(HedgeTest, ASecondOneThatStallsTooIsGivenUp) {
  stalling_->StallNext(0);
  stalling_->StallNext(0, 1);
  auto read = StartRead(object_, 0, 100);
  ASSERT_TRUE(Eventually([&] { return stalling_->reads() == before_ + 1; }));
  timer_.Advance(milliseconds(2000));
  EXPECT_EQ(stalling_->reads(), before_ + 2);
  EXPECT_EQ(stalling_->abandoned(), 1u);
  ASSERT_TRUE(stalling_->GoOn());
  EXPECT_EQ(Await(std::move(read)).value(), Part(bytes_, 0, 100));
}

TEST_F(HedgeTest, ASecondOneThatFailsChangesNothing) {
  stalling_->StallNext(0, 1);
  stalling_->StallNext(0);
  auto read = StartRead(object_, 0, 100);
  ASSERT_TRUE(Eventually([&] { return stalling_->reads() == before_ + 1; }));
  timer_.Advance(milliseconds(400));
  ASSERT_EQ(stalling_->reads(), before_ + 2);
  // The oldest is the first one: it fails, and the second is what is left.
  ASSERT_TRUE(stalling_->FailHeld({Errc::kTransient, "test: reset"}));
  EXPECT_EQ(read.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  ASSERT_TRUE(stalling_->GoOn());
  EXPECT_EQ(Await(std::move(read)).value(), Part(bytes_, 0, 100));
}

TEST_F(HedgeTest, ThatAnObjectWasReplacedIsToldAtOnce) {
  stalling_->StallNext(0);
  stalling_->StallNext(0, 1);
  auto read = StartRead(object_, 0, 100);
  ASSERT_TRUE(Eventually([&] { return stalling_->reads() == before_ + 1; }));
  timer_.Advance(milliseconds(400));
  ASSERT_TRUE(stalling_->FailHeld({Errc::kChanged, "test: replaced"}));
  EXPECT_EQ(Await(std::move(read)).error().code, Errc::kChanged);
  ASSERT_TRUE(Eventually([&] { return stalling_->abandoned() == 1; }));
}

TEST_F(HedgeTest, ManyReadersManyStallsRightBytes) {
  for (std::size_t i = 0; i < 40; i += 2) stalling_->StallNext(i % 4 == 0 ? 0 : 5000, i);
  std::vector<std::future<Result<std::vector<std::byte>>>> reads;
  for (std::uint64_t c = 0; c < kChunks; ++c) {
    reads.push_back(StartRead(object_, c * kChunk + 77, 5000 + c));
  }
  for (int i = 0; i < 100; ++i) {
    timer_.Advance(milliseconds(100));
    if (i % 10 == 9) stalling_->GoOn();
  }
  const auto answered = [&](const auto& read) {
    return read.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  ASSERT_TRUE(Eventually([&] {
    stalling_->GoOn();
    return std::ranges::all_of(reads, answered);
  }));
  for (std::uint64_t c = 0; c < kChunks; ++c) {
    EXPECT_EQ(Await(std::move(reads[c])).value(), Part(bytes_, c * kChunk + 77, 5000 + c));
  }
}

}  // namespace
}  // namespace modelfs::test
