#pragma once

#include <chrono>
#include <functional>

#include "fetch/base/timer.h"
#include "fetch/http/transport.h"

namespace modelfs::fetch {

struct SendRetryOptions {
  int attempts = 3;
  std::chrono::milliseconds pause{1'000};  ///< Between two attempts.
  /// Whether an answer is worth another attempt; failures of the transport that are kTransient
  /// always are. Null: 429 and 5xx.
  std::function<bool(const HttpResponse&)> again;
};

/// Sends `request` and keeps its body; tries a few times, a moment apart. For small requests beside
/// the way of the bytes, such as those for credentials. `transport` and `timer` are borrowed until
/// `done` runs, which is once, on one of their threads; request.stop ends it soon with kCancelled.
/// Errors: as HttpTransport::Send, of the last attempt.
void SendRetrying(HttpTransport& transport, Timer& timer, const SendRetryOptions& options,
                  HttpRequest request, Done<HttpResponse> done);

}  // namespace modelfs::fetch
