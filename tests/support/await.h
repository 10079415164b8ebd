#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"

namespace modelfs::test {

/// Turns a completion into something that a test can wait for. Threads: any.
///
///     Await<Listing> listing;
///     origin->List("", listing.done());
///     ASSERT_TRUE(listing.Wait());
template <class T>
class Await {
 public:
  /// To be passed on once; may be called after this object is gone.
  Done<T> done() {
    return [state = state_](Result<T> result) {
      const MutexLock lock(state->mutex);
      state->result.emplace(std::move(result));
      ++state->calls;
      state->called.NotifyAll();
    };
  }

  /// The result. Errors: kTimeout, if the completion was not called within `limit`.
  Result<T> Wait(std::chrono::milliseconds limit = std::chrono::seconds(60)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const MutexLock lock(state_->mutex);
    while (!state_->result) {
      if (std::chrono::steady_clock::now() >= deadline) {
        return Fail(Errc::kTimeout, "the completion was not called in time");
      }
      state_->called.WaitUntil(state_->mutex, deadline);
    }
    return *state_->result;
  }

  /// How often it was called: more than once is a bug.
  int calls() const {
    const MutexLock lock(state_->mutex);
    return state_->calls;
  }

 private:
  struct State {
    mutable Mutex mutex;
    CondVar called;
    std::optional<Result<T>> result GUARDED_BY(mutex);
    int calls GUARDED_BY(mutex) = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace modelfs::test
