#include "fetch/http/operation.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace modelfs::fetch {

using std::chrono::milliseconds;

void LimitToDeadline(HttpRequest& request, const RetryPolicy& policy,
                     Timer::Clock::time_point now) {
  const auto deadline = policy.options().deadline;
  if (deadline == Timer::Clock::time_point{}) return;
  request.total_timeout =
      std::max(std::chrono::ceil<milliseconds>(deadline - now), milliseconds(1));
  request.connect_timeout = std::min(request.connect_timeout, request.total_timeout);
}

void RetryLater(HttpOperation& operation, RetryPolicy& policy, FailedAttempt failed, Timer& timer,
                const std::stop_token& stop, std::string_view event,
                std::move_only_function<void()> again) {
  if (stop.stop_requested()) {
    return operation.Finish(Fail(Errc::kCancelled, operation.Describe() + ": cancelled"));
  }
  const int attempt = policy.attempts();
  const auto delay = policy.Next(failed.kind, failed.server_asks, timer.Now());
  if (!delay) {
    failed.error.what += fmt::format(" (attempt {}, giving up)", attempt);
    return operation.Finish(std::unexpected(std::move(failed.error)));
  }
  spdlog::log(attempt < 3 ? spdlog::level::debug : spdlog::level::warn,
              "{} attempt={} delay_ms={} why=\"{}\"", event, attempt, delay->count(),
              failed.error.what);
  timer.After(*delay, stop, std::move(again));
}

}  // namespace modelfs::fetch
