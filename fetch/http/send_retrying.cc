#include "fetch/http/send_retrying.h"

#include <memory>
#include <utility>

namespace modelfs::fetch {
namespace {

class Sending : public std::enable_shared_from_this<Sending> {
 public:
  Sending(HttpTransport& transport, Timer& timer, SendRetryOptions options, HttpRequest request,
          Done<HttpResponse> done)
      : transport_(transport),
        timer_(timer),
        options_(std::move(options)),
        request_(std::move(request)),
        done_(std::move(done)) {}

  void Attempt() {
    ++attempts_;
    transport_.Send(request_, nullptr, [self = shared_from_this()](Result<HttpResponse> outcome) {
      self->OnOutcome(std::move(outcome));
    });
  }

 private:
  bool Again(const Result<HttpResponse>& outcome) const {
    if (attempts_ >= options_.attempts || request_.stop.stop_requested()) return false;
    if (!outcome) return outcome.error().code == Errc::kTransient;
    if (options_.again) return options_.again(*outcome);
    return outcome->status == 429 || outcome->status >= 500;
  }
  void OnOutcome(Result<HttpResponse> outcome) {
    if (!Again(outcome)) return std::exchange(done_, nullptr)(std::move(outcome));
    timer_.After(options_.pause, request_.stop, [self = shared_from_this()] { self->Attempt(); });
  }

  HttpTransport& transport_;
  Timer& timer_;
  const SendRetryOptions options_;
  const HttpRequest request_;
  Done<HttpResponse> done_;
  int attempts_ = 0;
};

}  // namespace

void SendRetrying(HttpTransport& transport, Timer& timer, const SendRetryOptions& options,
                  HttpRequest request, Done<HttpResponse> done) {
  std::make_shared<Sending>(transport, timer, options, std::move(request), std::move(done))
      ->Attempt();
}

}  // namespace modelfs::fetch
