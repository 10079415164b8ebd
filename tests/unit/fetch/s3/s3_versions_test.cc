// Reads of a versioned bucket.
#include "fetch/s3/s3_versions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/unit/fetch/s3/s3_origin_fixture.h"

namespace modelfs::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class S3VersionsTest : public S3OriginFixture {
 protected:
  S3VersionsTest() { Make(); }
  static FakeReply Versioned(FakeReply reply, std::string version) {
    reply.headers.emplace_back("x-amz-version-id", std::move(version));
    return reply;
  }
  std::string LastUrl() const { return transport_.requests().back().url; }
};

TEST_F(S3VersionsTest, ReadsTheVersionThatTheFirstAnswerNamed) {
  transport_.Then(Versioned(Part(0, "abc", 9), "v/1+")).Then(Part(3, "def", 9));
  EXPECT_EQ(Read(Object(9), {0, 3}), "abc");
  EXPECT_THAT(LastUrl(), Not(HasSubstr("versionId")));
  EXPECT_EQ(Read(Object(9), {3, 6}), "def");
  EXPECT_THAT(LastUrl(), HasSubstr("?versionId=v%2F1%2B"));
  EXPECT_EQ(HeaderOf(transport_.requests().back(), "if-match"), "\"e1\"");
}

TEST_F(S3VersionsTest, OfAnotherTagIsAnotherObject) {
  transport_.Then(Versioned(Part(0, "abc", 9), "v1")).Then(Part(0, "xyz", 9, "\"e2\""));
  EXPECT_EQ(Read(Object(9), {0, 3}), "abc");
  EXPECT_EQ(Read(Object(9, "\"e2\""), {0, 3}), "xyz");
  EXPECT_THAT(LastUrl(), Not(HasSubstr("versionId")));
}

TEST_F(S3VersionsTest, NullIsNoVersion) {
  transport_.Then(Versioned(Part(0, "abc", 9), "null")).Then(Part(3, "def", 9));
  EXPECT_EQ(Read(Object(9), {0, 3}), "abc");
  EXPECT_EQ(Read(Object(9), {3, 6}), "def");
  EXPECT_THAT(LastUrl(), Not(HasSubstr("versionId")));
}

TEST_F(S3VersionsTest, WhereVersionsMayNotBeReadTheEtagPins) {
  transport_.Then(Versioned(Part(0, "abc", 9), "v1"))
      .Then(S3Failure(403, "AccessDenied"))
      .Then(Versioned(Part(3, "def", 9), "v1"))
      .Then(Part(6, "ghi", 9));
  EXPECT_EQ(Read(Object(9), {0, 3}), "abc");
  EXPECT_EQ(Read(Object(9), {3, 6}), "def");
  EXPECT_THAT(LastUrl(), Not(HasSubstr("versionId")));
  EXPECT_EQ(Read(Object(9), {6, 9}), "ghi");
  EXPECT_THAT(LastUrl(), Not(HasSubstr("versionId")));
}

TEST_F(S3VersionsTest, AVersionThatIsGoneIsAChange) {
  transport_.Then(Versioned(Part(0, "abc", 9), "v1")).Then(S3Failure(404, "NoSuchVersion"));
  EXPECT_EQ(Read(Object(9), {0, 3}), "abc");
  EXPECT_EQ(Read(Object(9), {3, 6}).error().code, Errc::kChanged);
}

}  // namespace
}  // namespace modelfs::test
