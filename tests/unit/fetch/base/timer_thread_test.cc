#include "fetch/base/timer_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fetch/base/worker_pool.h"
#include "tests/support/await.h"

namespace modelfs::test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(TimerThread, RunsTasksWhenDueInOrder) {
  TimerThread timer;
  Await<std::string> order;
  auto text = std::make_shared<std::string>();
  const auto start = timer.Now();
  timer.After(milliseconds(30), {}, [text, done = order.done()]() mutable { done(*text + "c"); });
  timer.After(milliseconds(10), {}, [text] { *text += "b"; });
  timer.After(milliseconds(0), {}, [text] { *text += "a"; });
  EXPECT_EQ(order.Wait().value(), "abc");
  EXPECT_GE(timer.Now() - start, milliseconds(30));
}

TEST(TimerThread, RunsATaskEarlyWhenAskedToStop) {
  TimerThread timer;
  std::stop_source stop;
  Await<void> ran;
  timer.After(hours(1), stop.get_token(), [done = ran.done()]() mutable { done({}); });
  stop.request_stop();
  EXPECT_TRUE(ran.Wait());
  Await<void> later;
  timer.After(hours(1), stop.get_token(), [done = later.done()]() mutable { done({}); });
  EXPECT_TRUE(later.Wait());
}

TEST(TimerThread, RunsWhatIsLeftWhenItEnds) {
  std::atomic<int> ran{0};
  {
    TimerThread timer;
    for (int i = 0; i < 10; ++i) timer.After(hours(i), {}, [&] { ++ran; });
  }
  EXPECT_EQ(ran.load(), 10);
}

TEST(TimerThread, TakesTasksFromManyThreadsThatStop) {
  std::atomic<int> ran{0};
  {
    TimerThread timer;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          std::stop_source stop;
          timer.After(i % 2 == 0 ? milliseconds(0) : milliseconds(hours(1)), stop.get_token(),
                      [&] { ++ran; });
          stop.request_stop();
        }
      });
    }
  }
  EXPECT_EQ(ran.load(), 800);
}

TEST(WorkerPool, RunsEverythingThatWasPosted) {
  std::atomic<int> ran{0};
  {
    WorkerPool pool("test", 3);
    for (int i = 0; i < 100; ++i) pool.Post([&] { ++ran; });
  }
  EXPECT_EQ(ran.load(), 100);
}

TEST(WorkerPool, RunsSeveralTasksAtOnce) {
  WorkerPool pool("test", 2);
  Await<void> second;
  Await<void> first;
  pool.Post([&second, done = first.done()]() mutable { done(second.Wait()); });
  pool.Post([done = second.done()]() mutable { done({}); });
  EXPECT_TRUE(first.Wait());
}

}  // namespace
}  // namespace modelfs::test
