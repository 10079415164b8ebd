#include "tests/support/origin/sigv4_verifier.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace modelfs::test {
namespace {

constexpr std::string_view kEmptySha =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
// 20130524T000000Z, when AWS's published examples were signed.
const auto kNow = std::chrono::system_clock::from_time_t(1'369'353'600);

class SigV4VerifierTest : public testing::Test {
 protected:
  static S3Request Signed(std::string_view uri, Headers headers, std::string_view names,
                          std::string_view signature) {
    S3Request request;
    request.method = "GET";
    request.target = RequestTarget::Parse(uri);
    request.headers = std::move(headers);
    request.headers.emplace_back("x-amz-content-sha256", kEmptySha);
    request.headers.emplace_back("x-amz-date", "20130524T000000Z");
    request.headers.emplace_back(
        "authorization",
        fmt::format("AWS4-HMAC-SHA256 "
                    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                    "SignedHeaders={},Signature={}",
                    names, signature));
    return request;
  }

  std::string Code(const S3Request& request, std::chrono::system_clock::time_point now = kNow) {
    const auto error = verifier_.Check(request, now);
    return error ? error->code : "";
  }

  const SigV4Verifier verifier_{{.access_key = "AKIAIOSFODNN7EXAMPLE",
                                 .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}};
  const Headers aws_host_ = {{"host", "examplebucket.s3.amazonaws.com"}};
  const Headers own_host_ = {{"host", "127.0.0.1:9000"}};
};

TEST_F(SigV4VerifierTest, AcceptsTheExampleWithARange) {
  Headers headers = aws_host_;
  headers.emplace_back("range", "bytes=0-9");
  EXPECT_EQ(Code(Signed("/test.txt", headers, "host;range;x-amz-content-sha256;x-amz-date",
                        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")),
            "");
}

TEST_F(SigV4VerifierTest, AcceptsTheExampleWithAValuelessParameter) {
  EXPECT_EQ(Code(Signed("/?lifecycle", aws_host_, "host;x-amz-content-sha256;x-amz-date",
                        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")),
            "");
}

TEST_F(SigV4VerifierTest, AcceptsTheExampleOfAListing) {
  for (const char* uri : {"/?max-keys=2&prefix=J", "/?prefix=J&max-keys=2"}) {
    EXPECT_EQ(Code(Signed(uri, aws_host_, "host;x-amz-content-sha256;x-amz-date",
                          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")),
              "");
  }
}

TEST_F(SigV4VerifierTest, AcceptsTheExampleOfAPresignedUrlUntilItExpires) {
  S3Request request;
  request.method = "GET";
  request.target = RequestTarget::Parse(
      "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"
      "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
      "&X-Amz-SignedHeaders=host&X-Amz-Signature="
      "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  request.headers = aws_host_;
  EXPECT_EQ(Code(request), "");
  EXPECT_EQ(Code(request, kNow + std::chrono::hours(23)), "");
  EXPECT_EQ(Code(request, kNow + std::chrono::hours(25)), "AccessDenied");
}

TEST_F(SigV4VerifierTest, AcceptsATokenAndAnEncodedQuery) {
  Headers headers = own_host_;
  headers.emplace_back("x-amz-security-token", "FQoD/+=tok");
  EXPECT_EQ(Code(Signed("/bkt?continuation-token=1a%2Bb%2Fc%3D%3D&delimiter=%2F&encoding-type=url"
                        "&list-type=2&prefix=a%20b%2F",
                        headers, "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
                        "6583172be4450ba1502a28c89c3f96bd8e8bebc6a3d48c8a4a78dd246a102153")),
            "");
}

TEST_F(SigV4VerifierTest, AcceptsAPathOfAllKindsOfBytes) {
  EXPECT_EQ(Code(Signed("/bkt/m%C3%A9l/a%20b%2Bc%3D%28d%29%27%21%2A%2C%3B%3A%40%24%26%25~.bin",
                        own_host_, "host;x-amz-content-sha256;x-amz-date",
                        "efc127c34590171af72ac8294473d0171a903edb8070d15e9fdec13dcc5de4e5")),
            "");
}

TEST_F(SigV4VerifierTest, RefusesAnythingThatWasChangedAfterSigning) {
  const std::string_view names = "host;x-amz-content-sha256;x-amz-date";
  const std::string_view signature =
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
  EXPECT_EQ(Code(Signed("/?max-keys=3&prefix=J", aws_host_, names, signature)),
            "SignatureDoesNotMatch");
  EXPECT_EQ(Code(Signed("/x?max-keys=2&prefix=J", aws_host_, names, signature)),
            "SignatureDoesNotMatch");
  EXPECT_EQ(Code(Signed("/?max-keys=2&prefix=J", own_host_, names, signature)),
            "SignatureDoesNotMatch");
  S3Request put = Signed("/?max-keys=2&prefix=J", aws_host_, names, signature);
  put.method = "PUT";
  EXPECT_EQ(Code(put), "SignatureDoesNotMatch");
  S3Request body = Signed("/?max-keys=2&prefix=J", aws_host_, names, signature);
  body.upload_sha256 = std::string(64, '0');
  EXPECT_EQ(Code(body), "XAmzContentSHA256Mismatch");
}

TEST_F(SigV4VerifierTest, SaysWhatIsWrongAsS3Does) {
  const std::string_view names = "host;x-amz-content-sha256;x-amz-date";
  S3Request request = Signed("/", aws_host_, names, "");
  EXPECT_EQ(Code(request, kNow + std::chrono::minutes(16)), "RequestTimeTooSkewed");
  EXPECT_EQ(Code(request, kNow - std::chrono::minutes(16)), "RequestTimeTooSkewed");
  EXPECT_EQ(Code(request, kNow + std::chrono::minutes(14)), "SignatureDoesNotMatch");

  Headers extra = aws_host_;
  extra.emplace_back("x-amz-security-token", "unsigned");
  EXPECT_EQ(Code(Signed("/", extra, names, "")), "AccessDenied");
  EXPECT_EQ(Code(Signed("/", aws_host_, "x-amz-content-sha256;x-amz-date", "")),
            "AuthorizationHeaderMalformed");
  EXPECT_EQ(Code(Signed("/", aws_host_, "x-amz-date;x-amz-content-sha256;host", "")),
            "AuthorizationHeaderMalformed");

  S3Request anonymous;
  anonymous.method = "GET";
  anonymous.target = RequestTarget::Parse("/");
  EXPECT_EQ(Code(anonymous), "AccessDenied");

  const SigV4Verifier elsewhere({.access_key = "AKIAIOSFODNN7EXAMPLE",
                                 .secret_key = "x",
                                 .session_token = {},
                                 .region = "eu-west-7"});
  const auto error = elsewhere.Check(request, kNow);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "AuthorizationHeaderMalformed");
  EXPECT_THAT(error->details,
              testing::Contains(std::pair<std::string, std::string>("Region", "eu-west-7")));

  const SigV4Verifier others({.access_key = "other", .secret_key = "x"});
  EXPECT_EQ(others.Check(request, kNow)->code, "InvalidAccessKeyId");
}

}  // namespace
}  // namespace modelfs::test
