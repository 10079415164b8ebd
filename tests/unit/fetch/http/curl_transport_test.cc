#include "fetch/http/curl_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/await.h"
#include "tests/support/embedded_origin.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_certificate.h"
#include "tests/unit/fetch/http/curl_transport_fixture.h"
#include "tests/unit/fetch/http/socket_server.h"

namespace modelfs::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

TEST_F(CurlTransportTest, SendsExactlyWhatItIsGiven) {
  Await<std::string> seen;
  SocketServer server([&](Peer& peer, int) {
    seen.done()(peer.NextRequest());
    peer.Send(kHello);
  });
  HttpRequest request = To(server.Url("/b/a%20b/../%2F?x=%2B&y"));
  request.headers = {{"x-one", "1"}, {"x-empty", ""}};
  const auto response = Send(request);
  ASSERT_TRUE(response) << response.error().what;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "hello");
  EXPECT_EQ(response->Header("etag"), "\"x\"");
  EXPECT_EQ(response->Header("absent"), "");
  EXPECT_GT(response->time_to_first_byte.count(), 0);
  const std::string host = server.Url("").substr(7);
  EXPECT_EQ(seen.Wait().value(), "GET /b/a%20b/../%2F?x=%2B&y HTTP/1.1\r\nHost: " + host +
                                     "\r\nx-one: 1\r\nx-empty:\r\n\r\n");
}

TEST_F(CurlTransportTest, ReusesItsConnection) {
  SocketServer server([](Peer& peer, int) {
    while (!peer.NextRequest().empty()) peer.Send(kHello);
  });
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Send(To(server.Url())));
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, StreamsAChunkedBody) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n");
    peer.Send("3;ext=1\r\nefg\r\n0\r\nX-Trailer: t\r\n\r\n");
  });
  const auto body = std::make_shared<Collector>();
  const auto response = Send(To(server.Url()), body);
  ASSERT_TRUE(response) << response.error().what;
  EXPECT_EQ(body->status, 206);
  EXPECT_EQ(body->text, "abcdefg");
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(response->Header("x-trailer"), "");
}

TEST_F(CurlTransportTest, KeepsABodyThatTheHandlerDoesNotWant) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
  });
  const auto body = std::make_shared<Collector>();
  body->take = false;
  const auto response = Send(To(server.Url()), body);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(response->body, "gone");
  EXPECT_EQ(body->text, "");
}

TEST_F(CurlTransportTest, ShowsTheHeadOfAnEmptyAnswerToTheHandler) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  const auto body = std::make_shared<Collector>();
  ASSERT_TRUE(Send(To(server.Url()), body));
  EXPECT_EQ(body->status, 200);
}

TEST_F(CurlTransportTest, TakesTheFinalAnswerAfterAContinue) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n");
    peer.Send(kHello);
  });
  const auto response = Send(To(server.Url()));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->Header("x-early"), "");
}

TEST_F(CurlTransportTest, SendsHeadAndPost) {
  Await<std::string> second;
  SocketServer server([&](Peer& peer, int) {
    EXPECT_THAT(peer.NextRequest(), testing::StartsWith("HEAD / HTTP/1.1\r\n"));
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    second.done()(peer.NextRequest());
    peer.Send(kHello);
  });
  HttpRequest head = To(server.Url());
  head.method = "HEAD";
  const auto response = Send(head);
  ASSERT_TRUE(response) << response.error().what;
  EXPECT_EQ(response->Header("content-length"), "5");
  HttpRequest post = To(server.Url());
  post.method = "POST";
  post.body = "a=1";
  EXPECT_TRUE(Send(post));
  EXPECT_THAT(second.Wait().value(), testing::EndsWith("Content-Length: 3\r\n\r\na=1"));
}

TEST_F(CurlTransportTest, NeitherFollowsNorDecodes) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Encoding: "
        "gzip\r\nContent-Length: 3\r\n\r\nraw");
  });
  const auto response = Send(To(server.Url()));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 302);
  EXPECT_EQ(response->body, "raw");
}

TEST_F(CurlTransportTest, AStalledBodyIsTransient) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
    peer.WaitForClose();
  });
  HttpRequest request = To(server.Url("/key?X-Amz-Signature=secret"));
  request.low_speed_time = seconds(1);
  const auto body = std::make_shared<Collector>();
  const auto response = Send(request, body);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kTransient);
  EXPECT_THAT(response.error().what, HasSubstr(server.Url("/key") + ": timed out"));
  EXPECT_EQ(response.error().what.find("secret"), std::string::npos);
  EXPECT_EQ(body->text, "some");
}

TEST_F(CurlTransportTest, ASilentServerMeetsTheTotalTimeout) {
  SocketServer server([](Peer& peer, int) { peer.WaitForClose(); });
  HttpRequest request = To(server.Url());
  request.total_timeout = milliseconds(100);
  const auto response = Send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kTransient);
}

TEST_F(CurlTransportTest, AResetInTheBodyIsTransient) {
  const auto body = std::make_shared<Collector>();
  Await<void> taken;
  body->on_body = [&] { taken.done()({}); };
  SocketServer server([&](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
    EXPECT_TRUE(taken.Wait());
    peer.ResetOnClose();
  });
  const auto response = Send(To(server.Url()), body);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kTransient);
  EXPECT_THAT(response.error().what, HasSubstr("connection lost"));
  EXPECT_EQ(body->text, "some");
}

TEST_F(CurlTransportTest, AShortBodyIsTransient) {
  SocketServer server([](Peer& peer, int number) {
    peer.NextRequest();
    peer.Send(number == 0 ? "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"
                          : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n");
  });
  for (int i = 0; i < 2; ++i) {
    const auto body = std::make_shared<Collector>();
    const auto response = Send(To(server.Url()), body);
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, Errc::kTransient);
    EXPECT_THAT(response.error().what, HasSubstr("connection lost"));
    EXPECT_EQ(body->text, "some");
  }
}

TEST_F(CurlTransportTest, ADeadReusedConnectionCostsNothing) {
  SocketServer server([](Peer& peer, int number) {
    peer.NextRequest();
    peer.Send(kHello);
    // The first connection dies with the second request on it.
    if (peer.NextRequest().empty()) return;
    if (number == 0) return peer.ResetOnClose();
    peer.Send(kHello);
  });
  EXPECT_TRUE(Send(To(server.Url())));
  const auto second = Send(To(server.Url()));
  ASSERT_TRUE(second) << second.error().what;
  EXPECT_EQ(second->body, "hello");
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(CurlTransportTest, ADeadFreshConnectionIsTransient) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.ResetOnClose();
  });
  EXPECT_EQ(Send(To(server.Url())).error().code, Errc::kTransient);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, SaysThatTheConnectionWasRefused) {
  std::string url;
  {
    SocketServer server([](Peer&, int) {});
    url = server.Url("/x");
  }
  const auto response = Send(To(url));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kTransient);
  EXPECT_THAT(response.error().what, HasSubstr("connection refused"));
}

TEST_F(CurlTransportTest, NamesAHostThatDoesNotResolve) {
  const auto response = Send(To("http://no-such-host.invalid/x"));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kNotFound);
  EXPECT_THAT(response.error().what, HasSubstr("'no-such-host.invalid'"));
}

TEST_F(CurlTransportTest, RefusesWhatIsNoRequest) {
  for (const char* url : {"", "http://", "ftp://127.0.0.1/x", "file:///etc/passwd",
                          "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y"}) {
    const auto response = Send(To(url));
    ASSERT_FALSE(response) << url;
    EXPECT_NE(response.error().code, Errc::kTransient) << response.error().what;
  }
  HttpRequest request = To("http://127.0.0.1:1/");
  request.headers = {{"x", "a\r\nInjected: 1"}};
  EXPECT_EQ(Send(request).error().code, Errc::kInvalid);
}

TEST_F(CurlTransportTest, StopsWhenTheHandlerHasEnough) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + std::string(100'000, 'x'));
    peer.WaitForClose();
  });
  const auto body = std::make_shared<Collector>();
  body->limit = 10;
  const auto response = Send(To(server.Url()), body);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kCancelled);
}

TEST_F(CurlTransportTest, EndsSoonWhenAskedToStop) {
  Await<void> arrived;
  SocketServer server([&](Peer& peer, int) {
    peer.NextRequest();
    arrived.done()({});
    peer.WaitForClose();
  });
  std::stop_source stop;
  HttpRequest request = To(server.Url());
  request.stop = stop.get_token();
  request.low_speed_time = seconds(600);
  Await<HttpResponse> answer;
  transport_->Send(request, nullptr, answer.done());
  ASSERT_TRUE(arrived.Wait());
  stop.request_stop();
  EXPECT_EQ(answer.Wait(seconds(10)).error().code, Errc::kCancelled);
  EXPECT_EQ(Send(request).error().code, Errc::kCancelled);
}

TEST_F(CurlTransportTest, CompletesEverythingWhenDestroyed) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome");
    peer.WaitForClose();
  });
  std::vector<Await<HttpResponse>> answers(20);
  for (auto& answer : answers) {
    HttpRequest request = To(server.Url());
    request.low_speed_time = seconds(600);
    transport_->Send(request, std::make_shared<Collector>(), answer.done());
  }
  transport_.reset();
  for (auto& answer : answers) {
    EXPECT_EQ(answer.calls(), 1);
    EXPECT_EQ(answer.Wait().error().code, Errc::kCancelled);
  }
}

TEST_F(CurlTransportTest, CompletesWhatCompletionsSendWhileItIsDestroyed) {
  SocketServer server([](Peer& peer, int) { peer.WaitForClose(); });
  std::atomic<int> completed{0};
  std::function<void(int)> send = [&](int again) {
    transport_->Send(To(server.Url()), nullptr, [&, again](Result<HttpResponse> result) {
      EXPECT_EQ(result.error().code, Errc::kCancelled);
      ++completed;
      if (again > 0) send(again - 1);
    });
  };
  for (int i = 0; i < 10; ++i) send(5);
  // Not reset(): the completions use the pointer until the destructor returns.
  transport_->~CurlTransport();
  EXPECT_EQ(completed.load(), 60);
  static_cast<void>(new (transport_.get()) CurlTransport({.threads = 1}));
}

TEST_F(CurlTransportTest, CarriesManyRequestsAtOnce) {
  SocketServer server([](Peer& peer, int) {
    while (!peer.NextRequest().empty()) peer.Send(kHello);
  });
  std::vector<Await<HttpResponse>> answers(300);
  for (auto& answer : answers) transport_->Send(To(server.Url()), nullptr, answer.done());
  for (auto& answer : answers) {
    const auto response = answer.Wait();
    ASSERT_TRUE(response) << response.error().what;
    EXPECT_EQ(response->body, "hello");
  }
  EXPECT_LE(server.connections(), 128);
}

}  // namespace
}  // namespace modelfs::test
