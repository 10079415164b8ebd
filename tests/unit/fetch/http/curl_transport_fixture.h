#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "fetch/http/curl_transport.h"
#include "tests/support/await.h"

namespace modelfs::test {

using fetch::BodyHandler;
using fetch::CurlTransport;
using fetch::HttpRequest;
using fetch::HttpResponse;

/// A whole answer, on a connection that goes on.
inline constexpr std::string_view kHello =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\nhello";

/// Keeps a streamed body, or refuses it, or has enough at some point.
class Collector final : public BodyHandler {
 public:
  bool OnHeaders(const HttpResponse& head) override {
    status = head.status;
    return take;
  }
  bool OnBody(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (on_body) on_body();
    return text.size() < limit;
  }
  std::function<void()> on_body;
  bool take = true;
  std::size_t limit = ~std::size_t{0};
  int status = 0;
  std::string text;
};

class CurlTransportTest : public testing::Test {
 protected:
  static HttpRequest To(std::string url) {
    HttpRequest request;
    request.url = std::move(url);
    return request;
  }
  Result<HttpResponse> Send(HttpRequest request, std::shared_ptr<BodyHandler> handler = nullptr) {
    Await<HttpResponse> answer;
    transport_->Send(std::move(request), std::move(handler), answer.done());
    auto result = answer.Wait();
    EXPECT_LE(answer.calls(), 1);
    return result;
  }

  std::unique_ptr<CurlTransport> transport_ =
      std::make_unique<CurlTransport>(CurlTransport::Options{.threads = 2});
};

}  // namespace modelfs::test
