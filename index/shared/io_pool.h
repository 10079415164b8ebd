#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"

namespace modelfs::index::shared {

/// A few threads for calls to a server that may never answer, `shared-0` .. `shared-N`.
///
/// Whoever asked is answered by its deadline, whatever becomes of the call; a thread that hangs in
/// one is lost until the call returns, and a pool whose threads all hang answers by deadlines
/// alone. A deadline counts from the moment a thread takes the call up; in the queue it may wait
/// twice as long. Time in which the process itself did not run does not count.
///
/// Threads: Run from any, also with locks held: nothing is called inside it. Answers come on a
/// thread of the pool, or, late ones, on the timer's, with no lock held.
/// Lock order: `mutex_` is a leaf.
class IoPool {
 public:
  struct Options {
    int threads = 8;
    std::size_t queue = 1024;  ///< Calls that wait; what is above fails with kTransient.
    Timer* timer = nullptr;    ///< Borrowed until Stop has returned.
    /// A call passed its deadline: `what` it was. On the timer's thread.
    std::function<void(std::string_view what)> breach;
  };
  explicit IoPool(Options options);
  ~IoPool();

  /// Calls `work` on a thread, then `done` with what it returned, or with kTimeout, kTransient
  /// (the queue is full) or kCancelled (stopped). `work` owns what it needs: it may outlive all.
  template <class T>
  void Run(std::string_view what, std::chrono::milliseconds deadline,
           std::move_only_function<Result<T>()> work, Done<T> done) {
    Enqueue(std::make_shared<Call<T>>(what, deadline, std::move(work), std::move(done)));
  }

  /// Fails what waits in the queue with kTimeout: the server does not answer.
  void Flush() EXCLUDES(state_->mutex);
  /// Runs what is queued for at most `patience`, fails the rest with kCancelled, and joins the
  /// threads, or lets go of those that hang. Not from one of them.
  void Stop(std::chrono::milliseconds patience);

 private:
  using Clock = std::chrono::steady_clock;

  /// One call. Answered once: by who takes `answered`.
  struct Ticket {
    Ticket(std::string_view what_in, std::chrono::milliseconds deadline_in)
        : what(what_in), deadline(deadline_in) {}
    virtual ~Ticket() = default;
    virtual void Work() = 0;
    virtual void Fail(Error error) = 0;
    const std::string what;
    const std::chrono::milliseconds deadline;
    std::atomic<bool> answered{false};
    Clock::time_point due;  ///< Guarded by the pool.
    bool running = false;   ///< Likewise.
  };
  template <class T>
  struct Call final : Ticket {
    Call(std::string_view what_in, std::chrono::milliseconds deadline_in,
         std::move_only_function<Result<T>()> work_in, Done<T> done_in)
        : Ticket(what_in, deadline_in), work(std::move(work_in)), done(std::move(done_in)) {}
    void Work() override {
      if (answered.load()) return;
      Result<T> result = work();
      work = nullptr;
      if (!answered.exchange(true)) std::exchange(done, nullptr)(std::move(result));
    }
    void Fail(Error error) override {
      if (!answered.exchange(true)) std::exchange(done, nullptr)(std::unexpected(std::move(error)));
    }
    std::move_only_function<Result<T>()> work;
    Done<T> done;
  };
  /// Outlives the pool where a thread hangs.
  struct State {
    Mutex mutex;
    CondVar wake;
    std::deque<std::shared_ptr<Ticket>> queue GUARDED_BY(mutex);
    std::list<std::shared_ptr<Ticket>> open GUARDED_BY(mutex);  ///< Queued, running, or refused.
    int alive GUARDED_BY(mutex) = 0;
    bool stopping GUARDED_BY(mutex) = false;
    bool sweeping GUARDED_BY(mutex) = false;
    Clock::time_point swept GUARDED_BY(mutex);
  };

  void Enqueue(std::shared_ptr<Ticket> ticket);
  static void Serve(const std::shared_ptr<State>& state);
  static void ArmSweep(const std::shared_ptr<State>& state, const Options& options);
  static void Sweep(const std::shared_ptr<State>& state, const Options& options);

  const Options options_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
  std::vector<std::jthread> threads_;
};

}  // namespace modelfs::index::shared
