// Keys that expire while S3Origin works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/fetch/s3/s3_origin_fixture.h"

namespace modelfs::test {
namespace {

using fetch::Credentials;
using testing::HasSubstr;
using testing::Not;

/// Gives keys KEY1, KEY2, ... : the next ones when those are rejected. May fail, or hold back.
class ScriptedKeys final : public fetch::CredentialsProvider {
 public:
  void Get(const std::optional<Credentials>& rejected,
           Done<std::optional<Credentials>> done) override {
    if (rejected) ++generation;
    if (failures > 0) {
      --failures;
      return done(std::unexpected(failure));
    }
    if (hold) {
      held.push_back(std::move(done));
      return;
    }
    done(Credentials{fmt::format("KEY{}", generation), "secret", "token"});
  }
  std::string Principal() const override { return "arn:aws:iam::1:role/reader"; }
  bool CanRefresh() const override { return true; }
  void Stop() override {
    for (auto& done : std::exchange(held, {})) done(Fail(Errc::kCancelled, "cancelled"));
  }
  int generation = 1;
  int failures = 0;
  Error failure{Errc::kTransient, "no credentials from the provider: connection refused"};
  bool hold = false;
  std::vector<Done<std::optional<Credentials>>> held;
};

class S3CredentialsTest : public S3OriginFixture {
 protected:
  S3CredentialsTest() {
    auto options = Defaults();
    options.credentials = keys_;
    Make(std::move(options));
  }
  std::string KeyOf(std::size_t request) const {
    const std::string header = HeaderOf(transport_.requests().at(request), "authorization");
    const std::size_t at = header.find("Credential=") + 11;
    return header.substr(at, header.find('/', at) - at);
  }
  std::shared_ptr<ScriptedKeys> keys_ = std::make_shared<ScriptedKeys>();
};

TEST_F(S3CredentialsTest, KeysThatExpireInMidReadAreChangedOnce) {
  for (const auto& [status, code] : {std::pair(400, "ExpiredToken"), std::pair(403, "InvalidToken"),
                                     std::pair(403, "InvalidAccessKeyId")}) {
    const std::size_t first = transport_.requests().size();
    const std::string before = fmt::format("KEY{}", keys_->generation);
    const std::string after = fmt::format("KEY{}", keys_->generation + 1);
    transport_.Then(Broken(Part(0, "abcdefghi", 9), 4))
        .Then(S3Failure(status, code))
        .Then(Part(4, "efghi", 9));
    EXPECT_EQ(Read(Object(9), {0, 9}), "abcdefghi");
    EXPECT_EQ(KeyOf(first + 1), before);
    EXPECT_EQ(KeyOf(first + 2), after);
  }
}

TEST_F(S3CredentialsTest, KeysThatAreRejectedTwiceEndTheRead) {
  transport_.Then(S3Failure(400, "ExpiredToken")).Then(S3Failure(400, "ExpiredToken"));
  const auto read = Read(Object(9), {0, 9});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kDenied);
  EXPECT_THAT(read.error().what, HasSubstr("expired"));
  EXPECT_EQ(transport_.requests().size(), 2u);
}

TEST_F(S3CredentialsTest, DenialIsNoReasonForOtherKeys) {
  transport_.Then(S3Failure(403, "AccessDenied"));
  const auto read = Read(Object(9), {0, 9});
  EXPECT_EQ(read.error().code, Errc::kDenied);
  EXPECT_THAT(read.error().what, HasSubstr("'arn:aws:iam::1:role/reader'"));
  EXPECT_THAT(read.error().what, Not(HasSubstr("access key id")));
  EXPECT_EQ(keys_->generation, 1);
}

TEST_F(S3CredentialsTest, HeadSaysNotWhyItRefuses) {
  transport_.Then({.status = 400}).Then({.headers = {{"etag", "\"e1\""}}});
  std::optional<Result<fetch::PublishedChecksums>> sums;
  origin_->Checksums(Object(9), Into(sums));
  Drive();
  ASSERT_TRUE(sums && *sums);
  EXPECT_EQ(KeyOf(1), "KEY2");
}

TEST_F(S3CredentialsTest, AProviderThatIsDownIsWaitedFor) {
  keys_->failures = 2;
  transport_.Then(Part(0, "abc", 9));
  EXPECT_EQ(Read(Object(9), {0, 3}), "abc");
  keys_->failures = 100;
  const auto read = Read(Object(9), {0, 3});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kTransient);
  EXPECT_THAT(read.error().what, HasSubstr("no credentials from the provider"));
  EXPECT_EQ(transport_.requests().size(), 1u);
}

TEST_F(S3CredentialsTest, AProviderThatRefusesEndsTheRead) {
  keys_->failures = 1;
  keys_->failure = {Errc::kDenied, "no credentials from the provider: no trust"};
  EXPECT_EQ(Read(Object(9), {0, 3}).error().code, Errc::kDenied);
}

TEST_F(S3CredentialsTest, WhatWaitsForKeysEndsWithTheOrigin) {
  keys_->hold = true;
  std::optional<Result<void>> read;
  origin_->Read(Object(9), {0, 3}, std::make_shared<StringSink>(), Into(read));
  EXPECT_FALSE(read);
  origin_.reset();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->error().code, Errc::kCancelled);
}

TEST_F(S3CredentialsTest, TheDomainIsTheRolesAndNotTheKeys) {
  const auto before = Object(9).domain;
  ++keys_->generation;
  auto options = Defaults();
  options.credentials = keys_;
  Make(std::move(options));
  EXPECT_EQ(Object(9).domain, before);
}

}  // namespace
}  // namespace modelfs::test
