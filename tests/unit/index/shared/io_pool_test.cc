#include "index/shared/io_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "fetch/base/timer_thread.h"

namespace modelfs::test {
namespace {

using index::shared::IoPool;
using std::chrono::milliseconds;

/// Calls to a server that may never answer.
class IoPoolTest : public ::testing::Test {
 protected:
  IoPoolTest() { Open({.threads = 2, .queue = 64}); }
  ~IoPoolTest() override { gate_.set_value(); }

  void Open(IoPool::Options options) {
    options.timer = &timer_;
    options.breach = [this](std::string_view what) {
      ++breaches_;
      EXPECT_EQ(what, "hang");
    };
    pool_ = std::make_unique<IoPool>(options);
  }
  std::future<Result<int>> Start(const char* what, milliseconds deadline,
                                 std::move_only_function<Result<int>()> work) {
    auto promise = std::make_shared<std::promise<Result<int>>>();
    pool_->Run<int>(what, deadline, std::move(work),
                    [promise](Result<int> r) { promise->set_value(std::move(r)); });
    return promise->get_future();
  }
  /// A call that does not return before the test ends.
  std::future<Result<int>> Hang(milliseconds deadline) {
    return Start("hang", deadline, [gate = open_]() -> Result<int> {
      gate.wait();
      return 1;
    });
  }

  std::promise<void> gate_;
  std::shared_future<void> open_ = gate_.get_future().share();
  std::atomic<int> breaches_{0};
  TimerThread timer_;
  std::unique_ptr<IoPool> pool_;
};

TEST_F(IoPoolTest, AnswersWithWhatTheCallReturns) {
  EXPECT_EQ(Start("x", milliseconds(5000), [] { return Result<int>(7); }).get().value(), 7);
  EXPECT_EQ(Start("x", milliseconds(5000), []() -> Result<int> { return Fail(Errc::kIo, "no"); })
                .get()
                .error()
                .what,
            "no");
  EXPECT_EQ(breaches_, 0);
}

TEST_F(IoPoolTest, ACallThatHangsIsAnsweredByItsDeadline) {
  auto hung = Hang(milliseconds(200));
  EXPECT_EQ(hung.get().error().code, Errc::kTimeout);
  EXPECT_EQ(breaches_, 1);
  // The other thread goes on.
  EXPECT_EQ(Start("x", milliseconds(5000), [] { return Result<int>(7); }).get().value(), 7);
}

TEST_F(IoPoolTest, WhatWaitsBehindHungThreadsIsAnsweredToo) {
  auto first = Hang(milliseconds(200));
  auto second = Hang(milliseconds(200));
  auto behind = Start("x", milliseconds(300), [] { return Result<int>(7); });
  EXPECT_EQ(behind.get().error().code, Errc::kTimeout);
  EXPECT_FALSE(first.get());
  EXPECT_FALSE(second.get());
}

TEST_F(IoPoolTest, FlushAnswersWhatWaits) {
  auto first = Hang(milliseconds(60'000));
  auto second = Hang(milliseconds(60'000));
  auto behind = Start("x", milliseconds(60'000), [] { return Result<int>(7); });
  pool_->Flush();
  EXPECT_EQ(behind.get().error().code, Errc::kTimeout);
}

TEST_F(IoPoolTest, AFullQueueRefuses) {
  Open({.threads = 1, .queue = 2});
  std::vector<std::future<Result<int>>> calls;
  for (int i = 0; i < 8; ++i) calls.push_back(Hang(milliseconds(60'000)));
  // The last ones, at the next sweep, on another thread.
  EXPECT_EQ(calls.back().get().error().code, Errc::kTimeout);
  pool_->Stop(milliseconds(0));
  EXPECT_EQ(calls.front().get().error().code, Errc::kCancelled);
}

TEST_F(IoPoolTest, StopRunsWhatIsQueuedAndLetsGoOfWhatHangs) {
  auto hung = Hang(milliseconds(60'000));
  std::vector<std::future<Result<int>>> calls;
  calls.reserve(20);
  for (int i = 0; i < 20; ++i) {
    calls.push_back(Start("x", milliseconds(60'000), [i] { return Result<int>(i); }));
  }
  pool_->Stop(milliseconds(300));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(calls[i].get().value(), i);
  EXPECT_EQ(hung.get().error().code, Errc::kCancelled);
  EXPECT_EQ(Start("x", milliseconds(5000), [] { return Result<int>(7); }).get().error().code,
            Errc::kCancelled);
}

}  // namespace
}  // namespace modelfs::test
