// Answers that are no HTTP, too long, or contradict themselves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/unit/fetch/http/curl_transport_fixture.h"
#include "tests/unit/fetch/http/socket_server.h"

namespace modelfs::test {
namespace {

using testing::HasSubstr;

using CurlAnswersTest = CurlTransportTest;

TEST_F(CurlAnswersTest, RefusesWhatIsNoHttp) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("SSH-2.0-OpenSSH_9.2p1 Debian\r\n\r\n\r\n\r\n");
  });
  const auto response = Send(To(server.Url()));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kCorrupt) << response.error().what;
}

TEST_F(CurlAnswersTest, BoundsHeadersAndKeptBodies) {
  SocketServer server([](Peer& peer, int number) {
    peer.NextRequest();
    if (number == 0) {
      std::string head = "HTTP/1.1 200 OK\r\n";
      for (int i = 0; i < 100; ++i) head += "X-Long: " + std::string(1000, 'x') + "\r\n";
      peer.Send(head + "\r\n");
    } else {
      peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
    }
    peer.WaitForClose();
  });
  auto response = Send(To(server.Url()));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kCorrupt);
  EXPECT_THAT(response.error().what, HasSubstr("headers"));
  HttpRequest request = To(server.Url());
  request.max_body_bytes = 999;
  response = Send(request);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kCorrupt);
}

TEST_F(CurlAnswersTest, RefusesAnswersThatContradictThemselves) {
  const std::pair<const char*, const char*> answers[] = {
      {"Content-Range: bytes 0-4/9\r\nContent-Range: bytes 4-8/9\r\nContent-Length: 5\r\n",
       "two headers 'content-range' that differ"},
      {"ETag: \"a\"\r\nContent-Length: 5\r\nETag: \"b\"\r\n", "two headers 'etag'"},
      {"Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding 'gzip, chunked'"},
      {"Transfer-Encoding: deflate\r\n", "Transfer-Encoding 'deflate'"},
  };
  for (const auto& [headers, why] : answers) {
    SocketServer server([headers](Peer& peer, int) {
      peer.NextRequest();
      peer.Send(std::string("HTTP/1.1 206 Partial Content\r\n") + headers + "\r\nhello");
    });
    const auto body = std::make_shared<Collector>();
    const auto response = Send(To(server.Url()), body);
    ASSERT_FALSE(response) << headers;
    EXPECT_EQ(response.error().code, Errc::kCorrupt) << response.error().what;
    EXPECT_THAT(response.error().what, HasSubstr(why));
    EXPECT_EQ(body->text, "");
  }
}

TEST_F(CurlAnswersTest, SurvivesAFoldedFirstHeaderOnAConnectionThatGoesOn) {
  SocketServer server([](Peer& peer, int) {
    for (int i = 0; !peer.NextRequest().empty(); ++i) {
      peer.Send(i % 2 == 0 ? std::string(kHello)
                           : "HTTP/1.1 200 OK\r\n X: " + std::string(500, 'x') +
                                 "\r\nContent-Length: 5\r\n\r\nhello");
    }
  });
  for (int i = 0; i < 50; ++i) {
    const auto response = Send(To(server.Url()));
    // Newer libcurls take it for a header.
    if (!response) {
      EXPECT_EQ(response.error().code, Errc::kCorrupt) << response.error().what;
      continue;
    }
    EXPECT_EQ(response->body, "hello");
  }
}

TEST_F(CurlAnswersTest, JoinsAFoldedHeader) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 200 OK\r\nETag: \"a\r\n\tetag: b\"\r\nContent-Length: 5\r\n\r\nhello");
  });
  const auto response = Send(To(server.Url()));
  ASSERT_TRUE(response) << response.error().what;
  EXPECT_EQ(response->Header("etag"), "\"a etag: b\"");
}

TEST_F(CurlAnswersTest, TakesAHeaderThatIsSaidTwiceTheSame) {
  SocketServer server([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send(
        "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nETag: \"x\"\r\nTransfer-Encoding: Chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\n\r\n");
  });
  const auto response = Send(To(server.Url()));
  ASSERT_TRUE(response) << response.error().what;
  EXPECT_EQ(response->body, "hello");
}

}  // namespace
}  // namespace modelfs::test
