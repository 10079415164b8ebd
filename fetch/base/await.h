#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "fetch/base/error.h"
#include "fetch/base/mutex.h"

namespace modelfs {

/// Turns a completion into something that can be waited for: in programs that have nothing else to
/// do, and in tests. Threads: any, but those that completions run on.
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
    State& state = *state_;
    const MutexLock lock(state.mutex);
    while (!state.result && std::chrono::steady_clock::now() < deadline) {
      state.called.WaitUntil(state.mutex, deadline);
    }
    if (state.result) return *state.result;
    return Fail(Errc::kTimeout, "the completion was not called in time");
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

}  // namespace modelfs
