#include "fs/http/http_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "fs/http/bearer_token.h"
#include "fs/http/listen_address.h"
#include "fs/http/metrics_text.h"
#include "tests/support/http_call.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HttpServerTest : public ::testing::Test {
 protected:
  std::vector<HttpRoute> Routes() {
    return {
        {.method = "GET",
         .path = "/open",
         .access = HttpAccess::kOpen,
         .serve = [](const HttpRequest&) { return HttpAnswer{.body = "open"}; }},
        {.method = "GET",
         .path = "/closed",
         .serve = [](const HttpRequest&) { return HttpAnswer{.body = "closed"}; }},
        {.method = "POST",
         .path = "/echo",
         .access = HttpAccess::kOpen,
         .serve = [](const HttpRequest& request) {
           return HttpAnswer{
               .body = fmt::format("{}|{}", request.header("x-thing").value_or("-"), request.body)};
         }}};
  }
  void Start(const std::string& address, const std::string& token_file = "") {
    auto server = HttpServer::Start(
        {.address = address, .token_file = token_file, .routes = Routes(), .max_body_bytes = 1000});
    ASSERT_TRUE(server) << server.error().what;
    server_ = *std::move(server);
    port_ = server_->address().substr(server_->address().rfind(':') + 1);
  }
  test::HttpCall::Reply Call(test::HttpCall call) {
    call.url = fmt::format("http://127.0.0.1:{}{}", port_, call.url);
    auto reply = call.Run();
    EXPECT_TRUE(reply) << reply.error().what;
    return reply ? *reply : test::HttpCall::Reply{};
  }
  std::string WriteToken(const std::string& text) {
    const std::string path = (temp_.path() / "token").string();
    std::ofstream(path) << text;
    return path;
  }

  test::TempDir temp_;
  std::unique_ptr<HttpServer> server_;
  std::string port_;
};

TEST_F(HttpServerTest, ServesItsTable) {
  Start("127.0.0.1:0");
  EXPECT_EQ(Call({.url = "/open"}).body, "open");
  EXPECT_EQ(Call({.url = "/open?x=/closed"}).body, "open");
  EXPECT_EQ(Call({.url = "/closed"}).body, "closed") << "on loopback without a token";
  EXPECT_EQ(Call({.url = "/none"}).status, 404);
  EXPECT_EQ(Call({.method = "POST", .url = "/open", .body = "b"}).status, 405);
  EXPECT_EQ(
      Call({.method = "POST", .url = "/echo", .headers = {{"X-Thing", "t"}}, .body = "b"}).body,
      "t|b");
}

TEST_F(HttpServerTest, RefusesABodyThatIsTooLarge) {
  Start("127.0.0.1:0");
  EXPECT_EQ(Call({.method = "POST", .url = "/echo", .body = std::string(1000, 'b')}).status, 200);
  EXPECT_EQ(Call({.method = "POST", .url = "/echo", .body = std::string(1001, 'b')}).status, 413);
}

TEST_F(HttpServerTest, OffLoopbackAsksForTheToken) {
  const std::string file = WriteToken("s3cret\n");
  Start("0.0.0.0:0", file);
  EXPECT_EQ(Call({.url = "/open"}).status, 200);
  const auto refused = Call({.url = "/closed"});
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.body, Not(HasSubstr("s3cret")));
  for (const char* wrong :
       {"Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret", "Bearer ", ""}) {
    EXPECT_EQ(Call({.url = "/closed", .headers = {{"Authorization", wrong}}}).status, 401) << wrong;
  }
  EXPECT_EQ(Call({.url = "/closed", .headers = {{"Authorization", "bearer s3cret"}}}).status, 200);
  WriteToken("other");
  EXPECT_EQ(Call({.url = "/closed", .headers = {{"Authorization", "Bearer s3cret"}}}).status, 401);
  EXPECT_EQ(Call({.url = "/closed", .headers = {{"Authorization", "Bearer other"}}}).status, 200);
  WriteToken("");
  EXPECT_EQ(Call({.url = "/closed", .headers = {{"Authorization", "Bearer "}}}).status, 503);
}

TEST_F(HttpServerTest, OffLoopbackWithoutATokenFileServesOnlyWhatIsOpen) {
  Start("0.0.0.0:0");
  EXPECT_EQ(Call({.url = "/open"}).status, 200);
  EXPECT_EQ(Call({.url = "/closed"}).status, 403);
}

TEST_F(HttpServerTest, SaysWhyItCannotListen) {
  Start("127.0.0.1:0");
  const auto taken = HttpServer::Start({.address = server_->address()});
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().what, HasSubstr(server_->address()));
  EXPECT_THAT(taken.error().what, HasSubstr("another process"));
  const auto not_here = HttpServer::Start({.address = "192.0.2.1:0"});
  ASSERT_FALSE(not_here);
  EXPECT_THAT(not_here.error().what, HasSubstr("no such address"));
  EXPECT_FALSE(HttpServer::Start({.address = "no-such-host.invalid:80"}));
  const auto no_token = HttpServer::Start({.address = "0.0.0.0:0", .token_file = "/no/such/file"});
  ASSERT_FALSE(no_token);
  EXPECT_THAT(no_token.error().what, HasSubstr("/no/such/file"));
}

TEST(ListenAddressTest, KnowsLoopback) {
  EXPECT_TRUE(ListenAt("127.0.0.1:0")->loopback);
  EXPECT_TRUE(ListenAt("localhost:0")->loopback);
  EXPECT_FALSE(ListenAt("0.0.0.0:0")->loopback);
  EXPECT_FALSE(ListenAt(":0")->loopback);
}

TEST(BearerTokenTest, ComparesTheWholeToken) {
  EXPECT_TRUE(CarriesToken("Bearer abc", "abc"));
  EXPECT_TRUE(CarriesToken("Bearer   abc ", "abc"));
  EXPECT_FALSE(CarriesToken("Bearer abcd", "abc"));
  EXPECT_FALSE(CarriesToken("Bearer", "abc"));
  EXPECT_FALSE(CarriesToken(std::nullopt, "abc"));
}

TEST(MetricsTextTest, WritesFamiliesAndEscapesLabels) {
  MetricsText out;
  out.One("a_bytes", MetricsText::Type::kGauge, "Bytes.", 9007199254740991.0);
  out.Family("b_total", MetricsText::Type::kCounter, "Things.");
  out.Sample(0.5, {{"path", "a\"b\\c\nd\xff"}, {"kind", "x"}});
  EXPECT_EQ(out.Take(),
            "# HELP a_bytes Bytes.\n# TYPE a_bytes gauge\na_bytes 9007199254740991\n"
            "# HELP b_total Things.\n# TYPE b_total counter\n"
            "b_total{path=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\",kind=\"x\"} 0.5\n");
}

}  // namespace
}  // namespace modelfs::fs
