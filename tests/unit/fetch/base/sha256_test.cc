#include "fetch/base/sha256.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "fetch/origin.h"

namespace modelfs {
namespace {

// FIPS 180-2 and RFC 4231.
TEST(Sha256, MatchesThePublishedVectors) {
  EXPECT_EQ(Hex(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(HmacSha256, MatchesThePublishedVectors) {
  EXPECT_EQ(Hex(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Hex(HmacSha256(std::string(131, '\xaa'),
                           "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(Hex(HmacSha256("", "")),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

using fetch::ObjectId;

// Names directories of caches that exist: this value must never change.
TEST(ObjectId, DigestIsStable) {
  const ObjectId id{.domain = "d",
                    .source = "s3://b@http://h:1",
                    .key = "k/x",
                    .tag = "\"e\"",
                    .size_bytes = 258};
  EXPECT_EQ(id.Digest(), "09175fe6e5bf833c79ee4cb44a509f01a6fbf0d44ae0650c1aaa5e3392306ae8");
}

TEST(ObjectId, DigestTellsFieldsApart) {
  const auto digest = [](std::string domain, std::string source, std::string key, std::string tag,
                         std::uint64_t size) {
    return ObjectId{std::move(domain), std::move(source), std::move(key), std::move(tag), size}
        .Digest();
  };
  const std::string a = digest("ab", "c", "k", "t", 1);
  EXPECT_EQ(digest("ab", "c", "k", "t", 1), a);
  EXPECT_NE(digest("a", "bc", "k", "t", 1), a);
  EXPECT_NE(digest("ab", "c", "kt", "", 1), a);
  EXPECT_NE(digest("ab", "c", "k", "t", 256), a);
}

TEST(ObjectId, DescribesItselfWithoutEndpointAndControls) {
  EXPECT_EQ((ObjectId{.source = "s3://bucket@https://h:1", .key = "a/b\n"}).Describe(),
            "s3://bucket/a/b\\x0a");
  EXPECT_EQ((ObjectId{.source = "dir:/x@y", .key = "f"}).Describe(), "dir:/x@y/f");
}

}  // namespace
}  // namespace modelfs
