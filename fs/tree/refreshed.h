#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"
#include "fetch/base/timer.h"

namespace modelfs::fs {

/// A value that somebody else knows better: asked for when it has grown too old for who wants it,
/// once for all who wait, and used on when the other side fails or is slow.
///
/// Threads: any. Completions run inside the call, on the asked one's threads or on the timer's,
/// with no lock held. Lifetime: shared; the timer is borrowed and outlives it. Lock order: `mutex_`
/// is a leaf.
template <class T>
class Refreshed : public std::enable_shared_from_this<Refreshed<T>> {
 public:
  using Clock = Timer::Clock;
  using Ptr = std::shared_ptr<const T>;

  struct Options {
    std::function<void(Done<T>)> ask;
    /// Sees every new value and every failure, before those who wait do. May be null.
    std::function<void(const Result<Ptr>&)> on_answer;
    Timer* timer = nullptr;
    std::stop_token stop;
    Ptr known;  ///< From an earlier life: old, but better than nothing. May be null.
    std::chrono::milliseconds stale_after{2'000};  ///< Longest wait where there is an old value.
    std::chrono::milliseconds failure_ttl{1'000};  ///< A failure is not asked for again so soon.
  };
  explicit Refreshed(Options options) : options_(std::move(options)), value_(options_.known) {}

  /// A value asked for at `not_before` or later; an older one when that cannot be had.
  /// Errors: those of the other side, where there was never a value.
  void Get(Clock::time_point not_before, Done<Ptr> done) EXCLUDES(mutex_) {
    const auto now = options_.timer->Now();
    bool ask = false;
    bool old = false;
    {
      MutexLock lock(mutex_);
      const bool failed = failure_ && now < failure_until_;
      if (value_ && (failed || asked_ >= not_before)) {
        Ptr value = value_;
        lock.Unlock();
        return done(std::move(value));
      }
      if (failed) {
        Error error = *failure_;
        lock.Unlock();
        return done(std::unexpected(std::move(error)));
      }
      old = value_ != nullptr;
      waiters_.push_back({not_before, now + options_.stale_after, std::move(done)});
      ask = !std::exchange(asking_, true);
    }
    if (old) {
      options_.timer->After(options_.stale_after, options_.stop,
                            [self = this->shared_from_this()] { self->ServeOld(); });
    }
    if (ask) Ask();
  }

  /// What is known now, however old; null: nothing.
  Ptr Known() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return value_;
  }

 private:
  struct Waiter {
    Clock::time_point not_before;
    Clock::time_point give_up;
    Done<Ptr> done;
  };

  void Ask() {
    options_.ask([self = this->shared_from_this(), asked = options_.timer->Now()](Result<T> value) {
      self->Take(asked, std::move(value));
    });
  }

  void Take(Clock::time_point asked, Result<T> answer) EXCLUDES(mutex_) {
    Result<Ptr> outcome = answer ? Result<Ptr>(std::make_shared<const T>(*std::move(answer)))
                                 : std::unexpected(std::move(answer.error()));
    if (options_.on_answer) options_.on_answer(outcome);
    std::vector<Waiter> served;
    bool again = false;
    {
      MutexLock lock(mutex_);
      if (outcome) {
        value_ = *outcome;
        asked_ = asked;
        failure_.reset();
      } else {
        failure_ = outcome.error();
        failure_until_ = options_.timer->Now() + options_.failure_ttl;
        if (value_) outcome = value_;
      }
      std::vector<Waiter> waiting;
      for (Waiter& waiter : waiters_) {
        const bool too_old = !failure_ && waiter.not_before > asked_;
        (too_old ? waiting : served).push_back(std::move(waiter));
      }
      waiters_ = std::move(waiting);
      again = asking_ = !waiters_.empty();
    }
    for (Waiter& waiter : served) waiter.done(outcome);
    if (again) Ask();
  }

  void ServeOld() EXCLUDES(mutex_) {
    const auto now = options_.timer->Now();
    const bool ending = options_.stop.stop_requested();
    std::vector<Waiter> served;
    Ptr value;
    {
      MutexLock lock(mutex_);
      value = value_;
      if (!value) return;
      std::vector<Waiter> waiting;
      for (Waiter& waiter : waiters_) {
        (ending || waiter.give_up <= now ? served : waiting).push_back(std::move(waiter));
      }
      waiters_ = std::move(waiting);
    }
    for (Waiter& waiter : served) waiter.done(value);
  }

  const Options options_;
  mutable Mutex mutex_;
  Ptr value_ GUARDED_BY(mutex_);
  Clock::time_point asked_ GUARDED_BY(mutex_) = Clock::time_point::min();
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  Clock::time_point failure_until_ GUARDED_BY(mutex_){};
  std::vector<Waiter> waiters_ GUARDED_BY(mutex_);
  bool asking_ GUARDED_BY(mutex_) = false;
};

}  // namespace modelfs::fs
