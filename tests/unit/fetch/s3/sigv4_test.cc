#include "fetch/s3/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "fetch/base/percent.h"

namespace modelfs::fetch {
namespace {

using testing::HasSubstr;

const Credentials kKeys{.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                        .secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                        .session_token = ""};
const SigV4Scope kScope{
    .region = "us-east-1",
    .time = std::chrono::system_clock::time_point(std::chrono::seconds(1369353600))};
const std::string kExampleHost = "examplebucket.s3.amazonaws.com";
constexpr std::string_view kEmpty =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string Authorization(const SigV4Request& request, const Credentials& keys = kKeys) {
  for (const auto& [name, value] : SignHeaders(request, keys, kScope)) {
    if (name == "authorization") return value;
  }
  return {};
}

// The first four are AWS's published examples; the last two come from an independent verifier.
TEST(SigV4, GetsARange) {
  const std::string got = Authorization(
      {.path = "/test.txt", .headers = {{"host", kExampleHost}, {"range", "bytes=0-9"}}});
  EXPECT_EQ(got,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(SigV4, SignsAQueryWithoutAValue) {
  EXPECT_THAT(Authorization(
                  {.path = "/", .query = {{"lifecycle", ""}}, .headers = {{"host", kExampleHost}}}),
              HasSubstr("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"));
}

TEST(SigV4, SignsAQueryInWhateverOrder) {
  EXPECT_THAT(Authorization({.path = "/",
                             .query = {{"prefix", "J"}, {"max-keys", "2"}},
                             .headers = {{"host", kExampleHost}}}),
              HasSubstr("34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(SigV4, Presigns) {
  const std::string query = PresignQuery({.path = "/test.txt", .headers = {{"host", kExampleHost}}},
                                         kKeys, kScope, std::chrono::seconds(86400));
  EXPECT_EQ(query,
            "X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(SigV4, SignsAListingWithASessionToken) {
  Credentials keys = kKeys;
  keys.session_token = "FQoD/+=tok";
  const SigV4Request request{.path = "/bkt",
                             .query = {{"list-type", "2"},
                                       {"prefix", "a b/"},
                                       {"delimiter", "/"},
                                       {"encoding-type", "url"},
                                       {"continuation-token", "1a+b/c=="}},
                             .headers = {{"host", "127.0.0.1:9000"}}};
  EXPECT_EQ(CanonicalQuery(request.query),
            "continuation-token=1a%2Bb%2Fc%3D%3D&delimiter=%2F&encoding-type=url&list-type=2&"
            "prefix=a%20b%2F");
  EXPECT_THAT(
      Authorization(request, keys),
      HasSubstr("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"
                "Signature=6583172be4450ba1502a28c89c3f96bd8e8bebc6a3d48c8a4a78dd246a102153"));
}

TEST(SigV4, SignsAPathOfOddCharacters) {
  const std::string path =
      "/bkt/" + PercentEncode("m\xC3\xA9l/a b+c=(d)'!*,;:@$&%~.bin", Slash::kKeep);
  EXPECT_EQ(path, "/bkt/m%C3%A9l/a%20b%2Bc%3D%28d%29%27%21%2A%2C%3B%3A%40%24%26%25~.bin");
  EXPECT_THAT(Authorization({.path = path, .headers = {{"host", "127.0.0.1:9000"}}}),
              HasSubstr("efc127c34590171af72ac8294473d0171a903edb8070d15e9fdec13dcc5de4e5"));
}

TEST(SigV4, AddsWhatTheServerChecks) {
  Credentials keys = kKeys;
  keys.session_token = "tok";
  const NameValues added = SignHeaders({.path = "/", .headers = {{"host", "h"}}}, keys, kScope);
  EXPECT_THAT(added, testing::Contains(testing::Pair("x-amz-date", "20130524T000000Z")));
  EXPECT_THAT(added, testing::Contains(testing::Pair("x-amz-content-sha256", std::string(kEmpty))));
  EXPECT_THAT(added, testing::Contains(testing::Pair("x-amz-security-token", "tok")));
  EXPECT_EQ(added.size(), 4u);
}

TEST(SigV4, FoldsBlanksInValues) {
  EXPECT_EQ(Authorization({.path = "/", .headers = {{"host", "h"}, {"x-amz-a", "  a   b\t c  "}}}),
            Authorization({.path = "/", .headers = {{"host", "h"}, {"x-amz-a", "a b c"}}}));
}

TEST(SigV4, SortsByEncodedNameThenValue) {
  EXPECT_EQ(CanonicalQuery({{"b", "2"}, {"b", "1"}, {"a-", ""}, {"a", "x y"}}),
            "a=x%20y&a-=&b=1&b=2");
}

}  // namespace
}  // namespace modelfs::fetch
