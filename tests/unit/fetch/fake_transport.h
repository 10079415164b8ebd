#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fetch/http/transport.h"

namespace modelfs::test {

/// What a FakeTransport does with one request.
struct FakeReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  std::optional<Error> failure = {};  ///< After `body` was delivered; with status 0 before all.
};

/// A transport that answers by script, one request after the other, when the test says so.
/// Threads: one. A request that the script does not foresee fails the test.
class FakeTransport final : public fetch::HttpTransport {
 public:
  using Answer = std::function<FakeReply(const fetch::HttpRequest&)>;

  void Send(fetch::HttpRequest request, std::shared_ptr<fetch::BodyHandler> handler,
            Done<fetch::HttpResponse> done) override {
    pending_.push_back({std::move(request), std::move(handler), std::move(done)});
  }

  FakeTransport& Then(FakeReply reply) {
    return Then([reply = std::move(reply)](const fetch::HttpRequest&) { return reply; });
  }
  FakeTransport& Then(Answer answer) {
    script_.push_back(std::move(answer));
    return *this;
  }

  /// Answers the oldest request. False when there is none.
  bool AnswerNext() {
    if (pending_.empty()) return false;
    Pending pending = std::move(pending_.front());
    pending_.pop_front();
    requests_.push_back(pending.request);
    if (pending.request.stop.stop_requested()) {
      pending.done(Fail(Errc::kCancelled, "cancelled"));
      return true;
    }
    if (script_.empty()) {
      ADD_FAILURE() << "unforeseen request: " << pending.request.url;
      pending.done(Fail(Errc::kCancelled, "no script"));
      return true;
    }
    Answer answer = std::move(script_.front());
    script_.pop_front();
    Deliver(std::move(pending), answer(requests_.back()));
    return true;
  }

  const std::vector<fetch::HttpRequest>& requests() const { return requests_; }
  std::size_t pending() const { return pending_.size(); }
  std::size_t unused() const { return script_.size(); }

 private:
  struct Pending {
    fetch::HttpRequest request;
    std::shared_ptr<fetch::BodyHandler> handler;
    Done<fetch::HttpResponse> done;
  };

  static void Deliver(Pending pending, FakeReply reply) {
    if (reply.status == 0) return pending.done(std::unexpected(*reply.failure));
    fetch::HttpResponse response;
    response.status = reply.status;
    response.headers = std::move(reply.headers);
    if (pending.handler && pending.handler->OnHeaders(response)) {
      const auto bytes = std::as_bytes(std::span(reply.body));
      constexpr std::size_t kPiece = 7;
      for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
        if (!pending.handler->OnBody(bytes.subspan(at, std::min(kPiece, bytes.size() - at)))) {
          return pending.done(Fail(Errc::kCancelled, "no more bytes are wanted"));
        }
      }
    } else {
      response.body = std::move(reply.body);
    }
    if (reply.failure) return pending.done(std::unexpected(*reply.failure));
    pending.done(std::move(response));
  }

  std::deque<Pending> pending_;
  std::deque<Answer> script_;
  std::vector<fetch::HttpRequest> requests_;
};

/// The value of a request's header, "" when it has none.
inline std::string HeaderOf(const fetch::HttpRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return {};
}

}  // namespace modelfs::test
