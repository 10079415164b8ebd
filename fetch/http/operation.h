#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "fetch/base/timer.h"
#include "fetch/http/retry.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

/// What an operation makes of the outcome of an attempt.
struct HttpVerdict {
  enum class Kind : std::uint8_t {
    kDefault,   ///< Let the client judge.
    kSuccess,   ///< All that was wanted is here, whatever the transport says.
    kContinue,  ///< Go on at once with the next attempt: the last one did its part.
    kFail,      ///< `error`, tried again if `retry` says so.
  };
  Kind kind = Kind::kDefault;
  Error error{Errc::kCorrupt, {}};
  std::optional<RetryKind> retry;
  std::optional<std::chrono::milliseconds> server_asks;  ///< Retry-After.
};

/// Something that takes one or more attempts. Its methods are called by a client, one at a time, on
/// whichever thread an attempt ends on.
class HttpOperation {
 public:
  virtual ~HttpOperation() = default;
  /// "GET s3://b/k [0,+4194304)". No query, no secret.
  virtual std::string Describe() const = 0;
  /// Takes the body of the next attempt; null: the transport keeps it.
  virtual std::shared_ptr<BodyHandler> Handler() { return nullptr; }
  /// When it asks to stop, nobody wants the outcome: it ends with kCancelled.
  virtual std::stop_token Abandoned() const { return {}; }
  /// Called with every outcome first.
  virtual HttpVerdict Judge(const Result<HttpResponse>& outcome) = 0;
  /// True once per stretch of progress: something arrived that need not be asked for again.
  virtual bool TakeProgress() { return false; }
  /// Exactly once, at the end; no lock is held.
  virtual void Finish(Result<void> result) = 0;
};

/// An operation on a client whose attempts are described by `Attempt`.
template <class Attempt>
class OperationOf : public HttpOperation {
 public:
  virtual Attempt NextAttempt() = 0;
};

/// Gives `request` no more time than the policy's deadline leaves, if it has one.
void LimitToDeadline(HttpRequest& request, const RetryPolicy& policy, Timer::Clock::time_point now);

/// The error of an attempt that got no answer, for the operation that it belongs to. That a name
/// leads nowhere says nothing about what was asked of the host: DNS may have a bad moment, also
/// when it is the first thing that the successor of a worker meets.
inline Error WithoutAnswer(Error error) {
  if (error.code == Errc::kNotFound) error.code = Errc::kTransient;
  return error;
}

/// A failed attempt that may be repeated.
struct FailedAttempt {
  RetryKind kind = RetryKind::kTransient;
  std::optional<std::chrono::milliseconds> server_asks;  ///< Retry-After.
  Error error;
};

/// Has `again` called on the timer's thread when `policy` allows another attempt. Otherwise, or
/// when `stop` was requested, finishes `operation` with the error. `event`: "s3.retry", for the
/// log.
void RetryLater(HttpOperation& operation, RetryPolicy& policy, FailedAttempt failed, Timer& timer,
                const std::stop_token& stop, std::string_view event,
                std::move_only_function<void()> again);

}  // namespace modelfs::fetch
