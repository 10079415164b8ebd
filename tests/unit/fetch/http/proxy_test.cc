#include "fetch/http/proxy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/unit/fetch/http/curl_transport_fixture.h"
#include "tests/unit/fetch/http/socket_server.h"

namespace modelfs::test {
namespace {

using fetch::ProxySettings;

TEST(ProxySettings, ChooseByScheme) {
  const auto proxy = [](const ProxySettings& settings, std::string url) {
    HttpRequest request;
    request.url = std::move(url);
    settings.Apply(request);
    return request.proxy;
  };
  const ProxySettings both{.http = "http://a", .https = "http://b", .all = "http://c"};
  EXPECT_EQ(proxy(both, "http://x/"), "http://a");
  EXPECT_EQ(proxy(both, "https://x/"), "http://b");
  EXPECT_EQ(proxy({.http = "http://a", .all = "http://c"}, "https://x/"), "http://c");
  EXPECT_EQ(proxy({}, "https://x/"), "");
}

class ProxyTest : public CurlTransportTest {};

TEST_F(ProxyTest, RequestsGoThroughTheProxyAndExceptionsDoNot) {
  const auto serve = [](std::string body) {
    return [body](Peer& peer, int) {
      for (std::string head = peer.NextRequest(); !head.empty(); head = peer.NextRequest()) {
        const std::string line = head.substr(0, head.find('\r')) + " " + body;
        peer.Send(
            fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", line.size(), line));
      }
    };
  };
  SocketServer proxy(serve("proxy")), server(serve("server"));
  const ProxySettings settings{.http = proxy.Url(""), .no_proxy = "127.0.0.1"};
  HttpRequest away = To("http://models.example/x");
  settings.Apply(away);
  const auto through = Send(std::move(away));
  ASSERT_TRUE(through) << through.error().what;
  EXPECT_EQ(through->body, "GET http://models.example/x HTTP/1.1 proxy");
  HttpRequest near = To(server.Url("/y"));
  settings.Apply(near);
  const auto direct = Send(std::move(near));
  ASSERT_TRUE(direct) << direct.error().what;
  EXPECT_EQ(direct->body, "GET /y HTTP/1.1 server");
}

TEST_F(ProxyTest, ATunnelThatIsRefusedIsAnError) {
  SocketServer proxy([](Peer& peer, int) {
    peer.NextRequest();
    peer.Send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  });
  HttpRequest request = To("https://models.example/x");
  ProxySettings{.https = proxy.Url("")}.Apply(request);
  const auto answer = Send(std::move(request));
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().what.find("407"), std::string::npos) << answer.error().what;
}

}  // namespace
}  // namespace modelfs::test
