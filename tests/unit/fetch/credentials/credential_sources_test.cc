// What the sources of keys send, and what they make of the answers.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "fetch/base/time_text.h"
#include "fetch/credentials/keys_document.h"
#include "fetch/credentials/metadata_sources.h"
#include "fetch/credentials/sts_sources.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fetch/fake_timer.h"
#include "tests/unit/fetch/fake_transport.h"

namespace modelfs::test {
namespace {

using fetch::Credentials;
using fetch::CredentialSettings;
using fetch::TemporaryKeys;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kKeys =
    R"({"Code":"Success","AccessKeyId":"AK","SecretAccessKey":"hush","Token":"tok",)"
    R"("Expiration":"2030-01-02T03:04:05Z"})";

class CredentialSourcesTest : public testing::Test {
 protected:
  Result<TemporaryKeys> Fetch(fetch::CredentialSource& source) {
    std::optional<Result<TemporaryKeys>> result;
    source.Fetch(stop_.get_token(), [&result](Result<TemporaryKeys> keys) {
      EXPECT_FALSE(result) << "completed twice";
      result.emplace(std::move(keys));
    });
    while (transport_.AnswerNext() || timer_.RunNext()) {
    }
    if (!result) return Fail(Errc::kTimeout, "never completed");
    if (!*result) {
      EXPECT_THAT(result->error().what, Not(HasSubstr("hush")));
    }
    return std::move(*result);
  }
  Error Failure(fetch::CredentialSource& source) {
    const auto keys = Fetch(source);
    EXPECT_FALSE(keys);
    return keys ? Error{Errc::kIo, "it worked"} : keys.error();
  }
  fetch::StsClient::Options Sts() {
    return {.endpoint = "http://sts:1/",
            .region = "eu-west-1",
            .transport = &transport_,
            .timer = &timer_,
            .wall_clock = [] {
              return std::chrono::system_clock::time_point(std::chrono::seconds(1'800'000'000));
            }};
  }
  static FakeReply StsKeys(std::string_view action) {
    return {.body = fmt::format(
                "<{0}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{0}Result>"
                "<Credentials><AccessKeyId>AK</AccessKeyId><SecretAccessKey>hush</SecretAccessKey>"
                "<SessionToken>tok</SessionToken><Expiration>2030-01-02T03:04:05Z</Expiration>"
                "</Credentials></{0}Result></{0}Response>",
                action)};
  }
  static FakeReply StsError(int status, std::string_view code) {
    return {.status = status,
            .body = fmt::format("<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code>"
                                "<Message>because</Message></Error></ErrorResponse>",
                                code)};
  }
  static FakeReply Refused() {
    return {.status = 0, .failure = Error{Errc::kTransient, "connection refused"}};
  }
  void ExpectKeys(const Result<TemporaryKeys>& keys) {
    ASSERT_TRUE(keys) << keys.error().what;
    EXPECT_EQ(keys->keys, (Credentials{"AK", "hush", "tok"}));
    EXPECT_EQ(keys->expires, ParseIso8601("2030-01-02T03:04:05Z"));
  }

  TempDir temp_;
  std::stop_source stop_;
  FakeTransport transport_;
  FakeTimer timer_;
};

TEST_F(CredentialSourcesTest, ContainersAreAskedWithTheTokenOfTheMoment) {
  const auto file = temp_.Write("token", "first\n").string();
  fetch::ContainerSource source({.token_file = file, .uri = "http://169.254.170.23/v1/credentials"},
                                &transport_, &timer_);
  transport_.Then({.body = kKeys}).Then({.body = kKeys});
  ExpectKeys(Fetch(source));
  temp_.Write("token", "second");
  ExpectKeys(Fetch(source));
  EXPECT_EQ(transport_.requests()[0].url, "http://169.254.170.23/v1/credentials");
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "authorization"), "first");
  EXPECT_EQ(HeaderOf(transport_.requests()[1], "authorization"), "second");
  EXPECT_EQ(transport_.requests()[0].proxy, "");
}

TEST_F(CredentialSourcesTest, ContainersThatAreDownAreTriedThrice) {
  fetch::ContainerSource source({.uri = "http://127.0.0.1:1/x?secret"}, &transport_, &timer_);
  transport_.Then(Refused()).Then({.status = 500}).Then({.body = kKeys});
  ExpectKeys(Fetch(source));
  transport_.Then(Refused()).Then(Refused()).Then(Refused());
  EXPECT_EQ(Failure(source).code, Errc::kTransient);
  EXPECT_THAT(source.Describe(), Not(HasSubstr("secret")));
}

TEST_F(CredentialSourcesTest, WrongAnswersOfContainersAreErrors) {
  fetch::ContainerSource source({.uri = "http://127.0.0.1:1/x"}, &transport_, &timer_);
  transport_.Then({.status = 403, .body = "hush"});
  EXPECT_EQ(Failure(source).code, Errc::kDenied);
  for (const char* body : {"", "<html>hush", "[]", R"({"AccessKeyId":"hush"})",
                           R"({"AccessKeyId":1,"SecretAccessKey":"hush"})",
                           R"({"AccessKeyId":"a","SecretAccessKey":"hush","Expiration":"soon"})"}) {
    transport_.Then({.body = body});
    EXPECT_EQ(Failure(source).code, Errc::kCorrupt) << body;
  }
  transport_.Then({.body = R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"no trust"})"});
  EXPECT_THAT(Failure(source).what, HasSubstr("no trust"));
  fetch::ContainerSource lines(
      {.token_file = temp_.Write("lines", "a\nb\n").string(), .uri = "http://127.0.0.1:1/x"},
      &transport_, &timer_);
  EXPECT_EQ(Failure(lines).code, Errc::kInvalid);
  fetch::ContainerSource absent(
      {.token_file = (temp_.path() / "absent").string(), .uri = "http://127.0.0.1:1/x"},
      &transport_, &timer_);
  EXPECT_EQ(Failure(absent).code, Errc::kNotFound);
}

TEST(CheckContainerUri, LetsKeysBeAskedForNearbyOrByTls) {
  for (const char* good :
       {"https://anywhere/x", "http://127.0.0.1:81/x", "http://127.1.2.3/", "http://localhost/x",
        "http://169.254.170.2/v2/x", "http://169.254.170.23/v1", "http://[fd00:ec2::23]/v1",
        "http://[::1]:80/"}) {
    EXPECT_TRUE(fetch::CheckContainerUri(good)) << good;
  }
  for (const char* bad :
       {"http://169.254.169.254/", "http://example.com/x", "http://127.0.0.1.evil.com/",
        "http://localhost.evil/", "ftp://localhost/", "http://127.0.0.1@evil.com/",
        "http://localhost:80@evil.com/", "", "http://[", "http://evil/?http://localhost"}) {
    EXPECT_FALSE(fetch::CheckContainerUri(bad)) << bad;
  }
}

TEST_F(CredentialSourcesTest, InstancesGiveATokenARoleAndKeys) {
  const auto source = std::make_shared<fetch::InstanceSource>(
      CredentialSettings{.uri = "http://169.254.169.254"}, &transport_, &timer_);
  transport_.Then({.body = "session"}).Then({.body = "my-role\n"}).Then({.body = kKeys});
  ExpectKeys(Fetch(*source));
  const auto& sent = transport_.requests();
  EXPECT_EQ(sent[0].method, "PUT");
  EXPECT_EQ(sent[0].url, "http://169.254.169.254/latest/api/token");
  EXPECT_EQ(HeaderOf(sent[0], "x-aws-ec2-metadata-token-ttl-seconds"), "21600");
  EXPECT_EQ(sent[2].url,
            "http://169.254.169.254/latest/meta-data/iam/security-credentials/my-role");
  EXPECT_EQ(HeaderOf(sent[2], "x-aws-ec2-metadata-token"), "session");
}

TEST_F(CredentialSourcesTest, OldInstancesAreAskedWithoutATokenWhereAllowed) {
  const auto source = std::make_shared<fetch::InstanceSource>(CredentialSettings{.uri = "http://i"},
                                                              &transport_, &timer_);
  transport_.Then({.status = 404}).Then({.body = "r"}).Then({.body = kKeys});
  ExpectKeys(Fetch(*source));
  EXPECT_EQ(HeaderOf(transport_.requests()[2], "x-aws-ec2-metadata-token"), "");
  const auto strict = std::make_shared<fetch::InstanceSource>(
      CredentialSettings{.uri = "http://i", .version_1_allowed = false}, &transport_, &timer_);
  transport_.Then({.status = 404});
  EXPECT_EQ(Failure(*strict).code, Errc::kDenied);
}

TEST_F(CredentialSourcesTest, WithoutAnInstanceTheErrorSaysWhereElseWasLooked) {
  const auto source = std::make_shared<fetch::InstanceSource>(
      CredentialSettings{.where = "; looked at AWS_ACCESS_KEY_ID", .uri = "http://i"}, &transport_,
      &timer_);
  transport_.Then(Refused());
  const Error error = Failure(*source);
  EXPECT_EQ(error.code, Errc::kDenied);
  EXPECT_THAT(error.what, HasSubstr("AWS_ACCESS_KEY_ID"));
  transport_.Then({.body = "t"}).Then({.body = "r"}).Then({.body = kKeys});
  ExpectKeys(Fetch(*source));
  transport_.Then(Refused());  // It has answered once: now it is only down.
  EXPECT_EQ(Failure(*source).code, Errc::kTransient);
  transport_.Then({.body = "t"}).Then({.body = "../../x"});
  EXPECT_EQ(Failure(*source).code, Errc::kCorrupt);
  transport_.Then({.body = "t"}).Then({.status = 404});
  EXPECT_THAT(Failure(*source).what, HasSubstr("no role"));
}

TEST_F(CredentialSourcesTest, AWebIdentityIsReadForEachRequest) {
  const auto file = temp_.Write("token", "jwt/1+\n").string();
  fetch::WebIdentitySource source({.role_arn = "arn:aws:iam::1:role/r", .token_file = file}, Sts());
  transport_.Then(StsKeys("AssumeRoleWithWebIdentity")).Then(StsKeys("AssumeRoleWithWebIdentity"));
  ExpectKeys(Fetch(source));
  temp_.Write("token", "jwt2");
  ExpectKeys(Fetch(source));
  const auto& first = transport_.requests()[0];
  EXPECT_EQ(first.method, "POST");
  EXPECT_EQ(first.url, "http://sts:1/");
  EXPECT_EQ(HeaderOf(first, "authorization"), "");
  EXPECT_THAT(first.body, HasSubstr("Action=AssumeRoleWithWebIdentity&"));
  EXPECT_THAT(first.body, HasSubstr("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&"));
  EXPECT_THAT(first.body, HasSubstr("RoleSessionName=modelfs&"));
  EXPECT_THAT(first.body, HasSubstr("WebIdentityToken=jwt%2F1%2B"));
  EXPECT_THAT(transport_.requests()[1].body, HasSubstr("WebIdentityToken=jwt2"));
}

TEST_F(CredentialSourcesTest, StsSaysWhatIsWrong) {
  const auto file = temp_.Write("token", "jwt").string();
  fetch::WebIdentitySource source({.role_arn = "arn:r", .token_file = file}, Sts());
  transport_.Then(StsError(403, "AccessDenied"));
  Error error = Failure(source);
  EXPECT_EQ(error.code, Errc::kDenied);
  EXPECT_THAT(error.what, HasSubstr("AccessDenied: because"));
  transport_.Then(StsError(400, "ExpiredTokenException"));
  EXPECT_EQ(Failure(source).code, Errc::kDenied);
  for (int i = 0; i < 3; ++i) transport_.Then(StsError(400, "IDPCommunicationError"));
  EXPECT_EQ(Failure(source).code, Errc::kTransient);
  transport_.Then(StsError(400, "InvalidIdentityToken")).Then(StsKeys("AssumeRoleWithWebIdentity"));
  ExpectKeys(Fetch(source));
  for (const char* body : {"", "{}", "<html/>", "<AssumeRoleResponse/>"}) {
    transport_.Then({.body = body});
    EXPECT_EQ(Failure(source).code, Errc::kCorrupt) << body;
  }
}

// Other keys each time.
class CountingKeys final : public fetch::CredentialsProvider {
 public:
  void Get(const std::optional<Credentials>& rejected,
           Done<std::optional<Credentials>> done) override {
    if (rejected) ++generation;
    done(Credentials{fmt::format("BASE{}", generation), "hush", ""});
  }
  std::string Principal() const override { return "base"; }
  bool CanRefresh() const override { return true; }
  int generation = 1;
};

TEST_F(CredentialSourcesTest, ARoleIsAssumedWithTheKeysOfItsSource) {
  const auto base = std::make_shared<CountingKeys>();
  const auto source =
      std::make_shared<fetch::AssumeRoleSource>(CredentialSettings{.role_arn = "arn:r",
                                                                   .role_session_name = "me",
                                                                   .external_id = "ext/1",
                                                                   .duration_seconds = 900},
                                                Sts(), base);
  transport_.Then(StsKeys("AssumeRole"));
  ExpectKeys(Fetch(*source));
  const auto& sent = transport_.requests()[0];
  EXPECT_THAT(sent.body, HasSubstr("RoleSessionName=me"));
  EXPECT_THAT(sent.body, HasSubstr("ExternalId=ext%2F1"));
  EXPECT_THAT(sent.body, HasSubstr("DurationSeconds=900"));
  EXPECT_THAT(HeaderOf(sent, "authorization"), HasSubstr("Credential=BASE1/"));
  EXPECT_THAT(HeaderOf(sent, "authorization"), HasSubstr("/eu-west-1/sts/aws4_request"));
}

TEST_F(CredentialSourcesTest, ExpiredKeysOfTheSourceAreFetchedAnewOnce) {
  const auto base = std::make_shared<CountingKeys>();
  const auto source = std::make_shared<fetch::AssumeRoleSource>(
      CredentialSettings{.role_arn = "arn:r"}, Sts(), base);
  transport_.Then(StsError(403, "ExpiredToken")).Then(StsKeys("AssumeRole"));
  ExpectKeys(Fetch(*source));
  EXPECT_THAT(HeaderOf(transport_.requests()[1], "authorization"), HasSubstr("Credential=BASE2/"));
  transport_.Then(StsError(403, "ExpiredToken")).Then(StsError(403, "ExpiredToken"));
  EXPECT_EQ(Failure(*source).code, Errc::kDenied);
}

}  // namespace
}  // namespace modelfs::test
