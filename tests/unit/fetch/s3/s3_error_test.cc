#include "fetch/s3/s3_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>

namespace modelfs::fetch {
namespace {

using testing::HasSubstr;

HttpResponse Response(int status, std::string body, decltype(HttpResponse::headers) headers = {}) {
  HttpResponse response;
  response.status = status;
  response.headers = std::move(headers);
  response.body = std::move(body);
  return response;
}

TEST(S3Error, ReadsTheDocumentAndTheHeaders) {
  const S3Error e = ParseS3Error(
      Response(301,
               "<?xml version=\"1.0\"?><Error><Code>PermanentRedirect</Code><Message><![CDATA[go "
               "there]]></Message>"
               "<RequestId>R1</RequestId></Error>",
               {{"x-amz-bucket-region", "eu-west-1"}}));
  EXPECT_EQ(e.code, "PermanentRedirect");
  EXPECT_EQ(e.message, "go there");
  EXPECT_EQ(e.request_id, "R1");
  EXPECT_EQ(e.region, "eu-west-1");
}

TEST(S3Error, SurvivesWhatIsNoDocument) {
  for (const char* body : {"", "<html><body><h1>403</h1>", "<Error>", "no",
                           "<Other><Code>x</Code></Other>", "\xFF\xFE"}) {
    EXPECT_EQ(ParseS3Error(Response(403, body)).code, "") << body;
  }
  EXPECT_EQ(
      ParseS3Error(Response(400, "<ErrorResponse><Error><Code>X</Code></Error></ErrorResponse>"))
          .code,
      "X");
}

TEST(S3Error, Classifies) {
  const auto classify = [](int status, std::string code = "") {
    const S3Failure f = ClassifyS3Error(
        status, {.code = std::move(code), .message = "", .request_id = "", .region = ""});
    return std::pair(f.code, f.retry);
  };
  const auto transient = std::pair(Errc::kTransient, std::optional(RetryKind::kTransient));
  const auto throttled = std::pair(Errc::kTransient, std::optional(RetryKind::kThrottling));
  const auto final = [](Errc code) { return std::pair(code, std::optional<RetryKind>()); };
  EXPECT_EQ(classify(500), transient);
  EXPECT_EQ(classify(500, "InternalError"), transient);
  EXPECT_EQ(classify(502), transient);
  EXPECT_EQ(classify(503), transient);
  EXPECT_EQ(classify(504), transient);
  EXPECT_EQ(classify(400, "RequestTimeout"), transient);
  EXPECT_EQ(classify(503, "SlowDown"), throttled);
  EXPECT_EQ(classify(503, "ServiceUnavailable"), throttled);
  EXPECT_EQ(classify(429), throttled);
  EXPECT_EQ(classify(403, "AccessDenied"), final(Errc::kDenied));
  EXPECT_EQ(classify(400, "ExpiredToken"), final(Errc::kDenied));
  EXPECT_EQ(classify(404, "XAdminUserNotFound"), final(Errc::kDenied));
  EXPECT_EQ(classify(404, "NoSuchKey"), final(Errc::kNotFound));
  EXPECT_EQ(classify(412), final(Errc::kChanged));
  EXPECT_EQ(classify(416), final(Errc::kCorrupt));
  EXPECT_EQ(classify(400, "InvalidArgument"), final(Errc::kInvalid));
  EXPECT_EQ(classify(501), final(Errc::kInvalid));
  EXPECT_EQ(classify(302), final(Errc::kInvalid));
}

TEST(S3Error, NamesCauseAndMend) {
  const S3Context context{.bucket = "bkt", .endpoint = "http://h:1", .principal = "AKIA1"};
  const auto text = [&](int status, std::string code, const S3Context& c) {
    return DescribeS3Error(
        "LIST s3://bkt/", status,
        {.code = std::move(code), .message = "m\n", .request_id = "R", .region = ""}, c);
  };
  EXPECT_EQ(text(404, "NoSuchBucket", context),
            "LIST s3://bkt/: HTTP 404 NoSuchBucket: bucket 'bkt' does not exist at http://h:1 "
            "(request R)");
  EXPECT_THAT(text(403, "InvalidAccessKeyId", context),
              HasSubstr("access key id 'AKIA1' is not known at http://h:1"));
  EXPECT_THAT(text(403, "SignatureDoesNotMatch", context), HasSubstr("secret key does not match"));
  EXPECT_THAT(text(403, "AccessDenied", context), HasSubstr("denied to access key id 'AKIA1'"));
  EXPECT_THAT(text(403, "", {.bucket = "b", .endpoint = "e", .principal = "anonymous"}),
              HasSubstr("anonymous"));
  EXPECT_THAT(text(400, "ExpiredToken", context), HasSubstr("expired"));
  EXPECT_THAT(text(302, "", context), HasSubstr("redirect"));
  EXPECT_THAT(text(418, "Teapot", context), HasSubstr("m\\x0a"));
}

TEST(S3Error, ReadsHowLongToWait) {
  EXPECT_EQ(ServerAsksToWait(Response(503, "", {{"retry-after", "7"}})), std::chrono::seconds(7));
  EXPECT_EQ(
      ServerAsksToWait(Response(503, "", {{"retry-after", "7"}, {"x-amz-retry-after", "250"}})),
      std::chrono::milliseconds(250));
  EXPECT_EQ(ServerAsksToWait(Response(503, "")), std::nullopt);
  EXPECT_EQ(ServerAsksToWait(Response(503, "", {{"retry-after", "Fri, 24 May 2013 00:00:00 GMT"}})),
            std::nullopt);
  EXPECT_EQ(ServerAsksToWait(Response(503, "", {{"retry-after", "-5"}})), std::chrono::seconds(0));
}

}  // namespace
}  // namespace modelfs::fetch
