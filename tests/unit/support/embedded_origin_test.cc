#include "tests/support/embedded_origin.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "tests/support/http_call.h"
#include "tests/support/origin/s3_message.h"
#include "tests/support/pattern.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_certificate.h"

namespace modelfs::test {
namespace {

using std::chrono::milliseconds;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class EmbeddedOriginTest : public testing::Test {
 protected:
  void SetUp() override {
    root_.Write("b/hello", "hello, world");
    Start({.root = root_.path()});
  }
  void Start(EmbeddedOrigin::Options options) {
    auto origin = EmbeddedOrigin::Start(std::move(options));
    ASSERT_TRUE(origin) << origin.error().what;
    origin_ = *std::move(origin);
  }

  HttpCall::Reply Call(const std::string& path, const Headers& headers = {},
                       const std::string& method = "GET", const std::string& body = "") {
    const auto reply =
        HttpCall{.method = method, .url = origin_->Url() + path, .headers = headers, .body = body}
            .Run();
    if (reply) return *reply;
    return {.status = -1, .body = reply.error().what};
  }
  HttpCall::Reply Range(const std::string& path, const std::string& range) {
    return Call(path, {{"Range", range}});
  }
  void Script(const std::string& script) {
    ASSERT_EQ(Call("/_origin/faults", {}, "POST", script).status, 200);
  }

  TempDir root_;
  std::unique_ptr<EmbeddedOrigin> origin_;
};

TEST_F(EmbeddedOriginTest, AnswersRangesAsS3Does) {
  const HttpCall::Reply whole = Call("/b/hello");
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, "hello, world");
  EXPECT_EQ(whole.Header("content-length"), "12");
  const HttpCall::Reply middle = Range("/b/hello", "bytes=7-9");
  EXPECT_EQ(middle.status, 206);
  EXPECT_EQ(middle.body, "wor");
  EXPECT_EQ(middle.Header("content-range"), "bytes 7-9/12");
  EXPECT_EQ(middle.Header("etag"), whole.Header("etag"));
  EXPECT_EQ(Range("/b/hello", "bytes=7-1000").body, "world");
  EXPECT_EQ(Range("/b/hello", "bytes=7-").body, "world");
  EXPECT_EQ(Range("/b/hello", "bytes=-3").body, "rld");
  for (const char* ignored : {"bytes=1-2,4-5", "bytes=5-4", "lines=1-2", "bytes=x-"}) {
    EXPECT_EQ(Range("/b/hello", ignored).status, 200) << ignored;
  }
  const HttpCall::Reply beyond = Range("/b/hello", "bytes=12-");
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.Header("content-range"), "bytes */12");
  EXPECT_THAT(beyond.body, HasSubstr("<Code>InvalidRange</Code>"));
}

TEST_F(EmbeddedOriginTest, HonoursConditions) {
  const std::string etag = Call("/b/hello").Header("etag");
  EXPECT_EQ(Call("/b/hello", {{"If-Match", etag}}).status, 200);
  EXPECT_EQ(Call("/b/hello", {{"If-Match", "\"other\""}}).status, 412);
  EXPECT_EQ(Call("/b/hello", {{"If-None-Match", etag}}).status, 304);
  EXPECT_EQ(Call("/b/hello", {{"If-None-Match", "\"other\""}}).status, 200);
}

TEST_F(EmbeddedOriginTest, SaysWhatIsMissing) {
  EXPECT_THAT(Call("/b/none").body, HasSubstr("<Code>NoSuchKey</Code>"));
  EXPECT_THAT(Call("/none/x").body, HasSubstr("<Code>NoSuchBucket</Code>"));
  EXPECT_THAT(Call("/none").body, HasSubstr("<Code>NoSuchBucket</Code>"));
  const HttpCall::Reply head = Call("/b/none", {}, "HEAD");
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(Call("/b/hello", {}, "HEAD").Header("content-length"), "12");
}

TEST_F(EmbeddedOriginTest, TakesUploadsAndRemovals) {
  std::string bytes(3'000'000, '\0');
  PatternBytes(1, 0, std::as_writable_bytes(std::span(bytes)));
  for (const char* path : {"/b/new/file", "/b/..%2F..%2Fhostile%00"}) {
    const HttpCall::Reply put = Call(path, {}, "PUT", bytes);
    ASSERT_EQ(put.status, 200) << put.body;
    EXPECT_EQ(Call(path).Header("etag"), put.Header("etag"));
    EXPECT_EQ(Call(path).body, bytes);
    EXPECT_EQ(Call(path, {}, "DELETE").status, 204);
    EXPECT_EQ(Call(path).status, 404);
  }
  EXPECT_EQ(Call("/b/..%2Fb%2Fhello").status, 404);
}

TEST_F(EmbeddedOriginTest, CountsRequestsAndBytes) {
  Range("/b/hello", "bytes=0-4");
  Call("/b/hello", {}, "HEAD");
  Call("/b?list-type=2");
  const Json stats = Json::parse(Call("/_origin/stats").body);
  EXPECT_EQ(stats["requests"], 3);
  EXPECT_EQ(stats["object_gets"], 1);
  EXPECT_EQ(stats["heads"], 1);
  EXPECT_EQ(stats["list_requests"], 1);
  EXPECT_EQ(stats["object_body_bytes"], 5);
  EXPECT_EQ(stats["keys"]["b/hello"]["body_bytes"], 5);

  const std::string log = Call("/_origin/log").body;
  const Json first = Json::parse(log.substr(0, log.find('\n')));
  EXPECT_EQ(first["method"], "GET");
  EXPECT_EQ(first["path"], "/b/hello");
  EXPECT_EQ(first["range_begin"], 0);
  EXPECT_EQ(first["range_end"], 5);
  EXPECT_EQ(first["status"], 206);
  EXPECT_EQ(first["body_bytes"], 5);

  EXPECT_EQ(Call("/_origin/reset", {}, "POST").status, 200);
  EXPECT_EQ(origin_->Stats().requests, 0u);
  EXPECT_EQ(Call("/_origin/log").body, "");
}

TEST_F(EmbeddedOriginTest, CountsOnlyWhatLeftOfAnAnswerThatBrokeOff) {
  origin_->objects().PutPattern("b", "big", 100'000'000, 1);
  Script(R"([{"match": {"key": "big"}, "fault": {"type": "drop", "bytes": 70000}}])");
  EXPECT_EQ(Call("/b/big").status, -1);
  EXPECT_EQ(origin_->Stats().object_body_bytes, 70'000u);
}

TEST_F(EmbeddedOriginTest, AppliesFaultsInTheOrderOfTheScript) {
  Script(R"([{"match": {"key": "hello", "nth": 2}, "fault": {"type": "status", "status": 500}},
             {"match": {"key": "hello", "method": "GET", "count": 2},
              "fault": {"type": "status", "status": 503, "retry_after": 7}}])");
  EXPECT_EQ(Call("/b?list-type=2").status, 200);
  const HttpCall::Reply slow = Call("/b/hello");
  EXPECT_EQ(slow.status, 503);
  EXPECT_EQ(slow.Header("retry-after"), "7");
  EXPECT_THAT(slow.body, HasSubstr("<Code>SlowDown</Code>"));
  EXPECT_EQ(Call("/b/hello").status, 500);
  EXPECT_EQ(Call("/b/hello").status, 503);
  EXPECT_EQ(Call("/b/hello").status, 200);
  EXPECT_EQ(origin_->Log()[1].fault, "status");
}

TEST_F(EmbeddedOriginTest, MisbehavesAsAsked) {
  struct Case {
    const char* fault;
    int status;
    const char* body;
    const char* content_range;
  };
  for (const auto& [fault, status, body, content_range] : {
           Case{R"({"type": "wrong_content_range"})", 206, "ello", "bytes 2-5/12"},
           Case{R"({"type": "ignore_range"})", 200, "hello, world", ""},
           Case{R"({"type": "short_body", "bytes": 3})", 206, "e", "bytes 1-4/12"},
           Case{R"({"type": "long_body", "bytes": 3})", 206, "elloxxx", "bytes 1-4/12"},
           Case{R"({"type": "flip_byte", "bytes": 2})", 206, "elmo", "bytes 1-4/12"},
           Case{R"({"type": "chunked"})", 206, "ello", "bytes 1-4/12"},
           Case{R"([{"type": "delay", "ms": 1}, {"type": "rate", "rate": 1000}])", 206, "ello",
                "bytes 1-4/12"},
       }) {
    Script(fmt::format(R"([{{"fault": {}}}])", fault));
    const HttpCall::Reply reply = Range("/b/hello", "bytes=1-4");
    EXPECT_EQ(reply.status, status) << fault;
    EXPECT_EQ(reply.body, body) << fault;
    EXPECT_EQ(reply.Header("content-range"), content_range) << fault;
  }
  Script(R"([{"fault": [{"type": "stale_etag"}, {"type": "gzip_header"}]}])");
  const HttpCall::Reply reply = Call("/b/hello");
  EXPECT_NE(reply.Header("etag"), Call("/b/hello").Header("etag"));
  EXPECT_EQ(reply.Header("content-encoding"), "gzip");
  EXPECT_EQ(reply.body, "hello, world");
  Script(R"([{"fault": {"type": "redirect", "status": 301, "location": "http://x/"}}])");
  EXPECT_EQ(Call("/b/hello").Header("location"), "http://x/");
  Script(R"([{"fault": {"type": "broken_xml"}}])");
  EXPECT_THAT(Call("/b?list-type=2").body, Not(HasSubstr("</ListBucketResult>")));
}

TEST_F(EmbeddedOriginTest, StallsUntilReleased) {
  Script(R"([{"fault": {"type": "stall", "bytes": 5}}])");
  HttpCall::Reply reply;
  std::jthread client([&] { reply = Call("/b/hello"); });
  ASSERT_TRUE(origin_->WaitForStalled(1, milliseconds(10'000)));
  EXPECT_EQ(Json::parse(Call("/_origin/stats").body)["stalled"], 1);
  EXPECT_EQ(origin_->Stats().object_body_bytes, 5u);
  EXPECT_EQ(Call("/_origin/release", {}, "POST").status, 200);
  client.join();
  EXPECT_EQ(reply.body, "hello, world");
}

TEST_F(EmbeddedOriginTest, StopsWhileAnswersStall) {
  Script(R"([{"fault": {"type": "stall", "bytes": 5}}])");
  HttpCall::Reply reply;
  std::jthread client(
      [&, call = HttpCall{.url = origin_->Url() + "/b/hello"}] { EXPECT_FALSE(call.Run()); });
  ASSERT_TRUE(origin_->WaitForStalled(1, milliseconds(10'000)));
  origin_.reset();
}

TEST_F(EmbeddedOriginTest, ShapesTheLink) {
  origin_->objects().PutPattern("b", "big", 200'000, 1);
  ASSERT_EQ(Call("/_origin/link", {}, "POST",
                 R"({"latency": "30ms", "total_rate": "2MB/s", "connection_rate": "85MB/s"})")
                .status,
            200);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Call("/b/big").body.size(), 200'000u);
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(30 + 94));
  EXPECT_EQ(Json::parse(Call("/_origin/link").body)["total_rate"], 2e6);
  EXPECT_EQ(Call("/_origin/link", {}, "POST", R"({"latency": "soon"})").status, 400);
  EXPECT_EQ(Call("/_origin/link", {}, "POST", R"({"colour": "red"})").status, 400);
}

TEST_F(EmbeddedOriginTest, RefusesBadControlRequests) {
  for (const char* script : {"{", "{}", "[1]", R"([{"fault": {"type": "nix"}}])", R"([{}])",
                             R"([{"fault": {"type": "drop", "bytes": -1}}])"}) {
    EXPECT_EQ(Call("/_origin/faults", {}, "POST", script).status, 400) << script;
  }
  EXPECT_EQ(Call("/_origin/nothing").status, 404);
  EXPECT_EQ(Call("/_origin/objects", {}, "POST", R"([{"bucket": "b"}])").status, 400);
}

TEST_F(EmbeddedOriginTest, TakesHostileKeysAsJson) {
  ASSERT_EQ(Call("/_origin/objects", {}, "POST",
                 R"([{"bucket": "h", "key": "a//b", "text": "slashes"},
                     {"bucket": "h", "key_url": "%FF%00", "size": 1000, "seed": 4}])")
                .status,
            200);
  EXPECT_EQ(Call("/h/a//b").body, "slashes");
  const std::string bytes = Call("/h/%FF%00").body;
  EXPECT_EQ(bytes.size(), 1000u);
  EXPECT_FALSE(PatternMismatch(4, 0, std::as_bytes(std::span(bytes))));
  EXPECT_THAT(Call("/h?list-type=2&encoding-type=url").body, HasSubstr("<Key>%FF%00</Key>"));
}

TEST_F(EmbeddedOriginTest, ServesHttps) {
  const TestCertificate certificate = TestCertificate::Make();
  Start({.root = root_.path(),
         .certificate_pem = certificate.certificate_pem,
         .private_key_pem = certificate.private_key_pem});
  EXPECT_THAT(origin_->Url(), testing::StartsWith("https://"));
  const HttpCall call{.url = origin_->Url() + "/b/hello", .ca_pem = certificate.certificate_pem};
  const auto reply = call.Run();
  ASSERT_TRUE(reply) << reply.error().what;
  EXPECT_EQ(reply->body, "hello, world");
  EXPECT_EQ(Call("/b/hello").status, -1);
}

TEST_F(EmbeddedOriginTest, RefusesBadOptions) {
  const auto code = [](EmbeddedOrigin::Options options) {
    return EmbeddedOrigin::Start(std::move(options)).error().code;
  };
  EXPECT_EQ(code({.root = "/no/such/folder"}), Errc::kInvalid);
  EXPECT_EQ(code({.access_key = "a"}), Errc::kInvalid);
  EXPECT_EQ(code({.address = "nonsense"}), Errc::kInvalid);
  EXPECT_EQ(code({.port = origin_->port()}), Errc::kIo);
  EXPECT_EQ(code({.certificate_pem = "x", .private_key_pem = "y"}), Errc::kIo);
}

}  // namespace
}  // namespace modelfs::test
