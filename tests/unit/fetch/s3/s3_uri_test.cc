#include "fetch/s3/s3_uri.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "fetch/s3/s3_endpoint.h"

namespace modelfs::fetch {
namespace {

TEST(S3Uri, SplitsBucketAndPrefix) {
  const auto parse = [](std::string_view text) { return S3Uri::Parse(text).value(); };
  EXPECT_EQ(parse("s3://bucket").bucket, "bucket");
  EXPECT_EQ(parse("s3://bucket").prefix, "");
  EXPECT_EQ(parse("s3://bucket/").prefix, "");
  EXPECT_EQ(parse("s3://bucket/a").prefix, "a/");
  EXPECT_EQ(parse("s3://bucket/a/b c%20/").prefix, "a/b c%20/");
  EXPECT_EQ(parse("s3://my.old_Bucket/x").bucket, "my.old_Bucket");
  EXPECT_EQ(parse("s3://b/a/").ToString(), "s3://b/a/");
  EXPECT_EQ(parse("s3://b").ToString(), "s3://b");
}

TEST(S3Uri, RefusesWhatIsNone) {
  for (const char* text :
       {"", "bucket", "s3:/bucket", "s3://", "s3:///key", "s3://b?x/k", "s3://b@h/k", "s3://b c/k",
        "s3://../k", "s3://b//k", "s3://b/a//", "http://b/k", "s3://b%2Fk", "s3://b:9000/k"}) {
    const Result<S3Uri> uri = S3Uri::Parse(text);
    ASSERT_FALSE(uri) << text;
    EXPECT_EQ(uri.error().code, Errc::kInvalid);
  }
}

S3Endpoint::Address In(std::string_view url, std::string bucket, S3Addressing addressing,
                       std::string_view region) {
  return S3Endpoint::Make(url, std::move(bucket), addressing).value().In(region);
}

TEST(S3Endpoint, UsesVirtualHostsAtAwsWhereTheNameAllows) {
  const auto plain = In("", "my-bucket", S3Addressing::kAuto, "eu-west-1");
  EXPECT_EQ(plain.scheme_and_authority, "https://my-bucket.s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(plain.host, "my-bucket.s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(plain.path, "");
  const auto dotted = In("", "my.bucket", S3Addressing::kAuto, "eu-west-1");
  EXPECT_EQ(dotted.scheme_and_authority, "https://s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(dotted.path, "/my.bucket");
  EXPECT_EQ(In("", "UPPER", S3Addressing::kAuto, "r").path, "/UPPER");
  EXPECT_EQ(In("", "bkt", S3Addressing::kPath, "r").path, "/bkt");
  EXPECT_EQ(In("", "bkt", S3Addressing::kAuto, "cn-north-1").host,
            "bkt.s3.cn-north-1.amazonaws.com.cn");
}

TEST(S3Endpoint, UsesPathsElsewhere) {
  const auto minio = In("HTTP://MinIO:9000/", "bkt", S3Addressing::kAuto, "r");
  EXPECT_EQ(minio.scheme_and_authority, "http://minio:9000");
  EXPECT_EQ(minio.host, "minio:9000");
  EXPECT_EQ(minio.path, "/bkt");
  EXPECT_EQ(In("https://h/base/path/", "b", S3Addressing::kAuto, "r").path, "/base/path/b");
  EXPECT_EQ(In("https://h", "b", S3Addressing::kVirtual, "r").host, "b.h");
  EXPECT_EQ(In("http://[::1]:9000", "b", S3Addressing::kAuto, "r").host, "[::1]:9000");
}

TEST(S3Endpoint, DropsDefaultPorts) {
  EXPECT_EQ(In("http://h:80", "b", S3Addressing::kAuto, "r").host, "h");
  EXPECT_EQ(In("https://h:443", "b", S3Addressing::kAuto, "r").host, "h");
  EXPECT_EQ(In("https://h:80", "b", S3Addressing::kAuto, "r").host, "h:80");
}

TEST(S3Endpoint, IsOneForAllRegionsOfAws) {
  EXPECT_EQ(S3Endpoint::Make("", "b", S3Addressing::kAuto)->Canonical(),
            "https://s3.amazonaws.com");
  EXPECT_EQ(S3Endpoint::Make("http://H:80/", "b", S3Addressing::kAuto)->Canonical(), "http://h");
}

TEST(S3Endpoint, RefusesWhatIsNoEndpoint) {
  for (const char* url : {"minio:9000", "ftp://h", "https://", "https:///x", "http://h?x=1",
                          "http://h#f", "http://h h", "http://:9000", "http://h\n"}) {
    const auto endpoint = S3Endpoint::Make(url, "b", S3Addressing::kAuto);
    ASSERT_FALSE(endpoint) << url;
    EXPECT_EQ(endpoint.error().code, Errc::kInvalid);
  }
  const auto secret = S3Endpoint::Make("http://user:passw0rd@h", "b", S3Addressing::kAuto);
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().what.find("passw0rd"), std::string::npos);
}

}  // namespace
}  // namespace modelfs::fetch
