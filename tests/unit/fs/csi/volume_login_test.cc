#include "fs/csi/volume_login.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace modelfs::fs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kTokens = "csi.storage.k8s.io/serviceAccount.tokens";

VolumeSpec Spec(StringMap attributes) { return *ParseVolume(attributes); }

StringMap Pod(const std::string& name_space, const std::string& account) {
  return {{"csi.storage.k8s.io/pod.namespace", name_space},
          {"csi.storage.k8s.io/serviceAccount.name", account}};
}

StringMap WithTokens(StringMap pod, const std::string& tokens) {
  pod[kTokens] = tokens;
  return pod;
}

TEST(VolumeLogin, KeysOfASecretByEitherName) {
  const auto spec = Spec({{"source", "s3://b"}});
  const auto ours = FindLogin(spec, {}, {{"access_key_id", "AKIA1"}, {"secret_access_key", "s\n"}});
  ASSERT_TRUE(ours) << ours.error().what;
  EXPECT_EQ(ours->secret_access_key, "s");
  const auto theirs =
      FindLogin(spec, {}, {{"AWS_ACCESS_KEY_ID", "AKIA1"}, {"AWS_SECRET_ACCESS_KEY", "s"}});
  ASSERT_TRUE(theirs);
  EXPECT_EQ(theirs->Domain(), ours->Domain());
}

TEST(VolumeLogin, WhatIsMissingIsNamed) {
  const auto s3 = Spec({{"source", "s3://b"}});
  const auto error = [&](const VolumeSpec& spec, const StringMap& attributes,
                         const StringMap& secrets) {
    const auto login = FindLogin(spec, attributes, secrets);
    return login ? CsiError{CsiCode::kInternal, "none"} : login.error();
  };
  EXPECT_THAT(error(s3, {}, {}).what, HasSubstr("'access_key_id'"));
  EXPECT_THAT(error(s3, {}, {{"access_key_id", "A"}}).what, HasSubstr("'secret_access_key'"));
  EXPECT_THAT(error(s3, {}, {{"secret_access_key", "A"}}).what, HasSubstr("'access_key_id'"));
  const auto mlflow = Spec({{"source", "mlflow:http://m"}});
  EXPECT_THAT(error(mlflow, {}, {{"username", "u"}}).what, HasSubstr("'password'"));
  EXPECT_THAT(error(mlflow, {}, {{"token", "a\nb"}}).what, HasSubstr("'token'"));
  const auto role = Spec({{"source", "s3://b"}, {"role_arn", "arn:aws:iam::1:role/r"}});
  EXPECT_THAT(error(role, {}, {}).what, HasSubstr("'role_arn'"));
  EXPECT_EQ(error(s3, {}, {}).code, CsiCode::kInvalidArgument);
}

TEST(VolumeLogin, TheTokenOfTheServiceAccount) {
  const auto spec = Spec({{"source", "mlflow:http://m"}});
  const auto login = FindLogin(
      spec,
      WithTokens(Pod("n", "a"),
                 R"({"mlflow": {"token": "t1", "expirationTimestamp": "2999-01-01T00:00:00Z"}})"),
      {});
  ASSERT_TRUE(login) << login.error().what;
  EXPECT_EQ(login->token, "t1");
  // A new one is the same principal.
  const auto later =
      FindLogin(spec, WithTokens(Pod("n", "a"), R"({"mlflow": {"token": "t2"}})"), {});
  ASSERT_TRUE(later);
  EXPECT_EQ(later->Domain(), login->Domain());
  // As of Kubernetes 1.35.
  const auto secret = FindLogin(spec, Pod("n", "a"), {{kTokens, R"({"mlflow": {"token": "t3"}})"}});
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->token, "t3");
}

TEST(VolumeLogin, TokensThatDoNotDo) {
  const auto spec = Spec({{"source", "mlflow:http://m"}, {"audience", "mlflow"}});
  const auto expired = FindLogin(
      spec,
      WithTokens({},
                 R"({"mlflow": {"token": "t1", "expirationTimestamp": "2001-01-01T00:00:00Z"}})"),
      {});
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().code, CsiCode::kUnauthenticated);
  EXPECT_THAT(expired.error().what, HasSubstr("expired at 2001"));
  for (const char* bad : {"", "[]", "{}", R"({"other": {"token": "x"}})", R"({"mlflow": {}})",
                          R"({"mlflow": {"token": 3}})", R"({"mlflow": "x"})"}) {
    const auto login = FindLogin(spec, WithTokens({}, bad), {});
    if (std::string(bad).empty()) continue;  // None at all: anonymous.
    ASSERT_FALSE(login) << bad;
    EXPECT_EQ(login.error().code, CsiCode::kInvalidArgument) << bad;
  }
  const auto two = FindLogin(Spec({{"source", "mlflow:http://m"}}),
                             WithTokens({}, R"({"a": {"token": "x"}, "b": {"token": "y"}})"), {});
  ASSERT_FALSE(two);
  EXPECT_THAT(two.error().what, HasSubstr("'audience'"));
}

TEST(VolumeLogin, OthersShareNothing) {
  const auto spec = Spec({{"source", "s3://b"}});
  const auto domain = [&](const char* name_space, const char* account, const char* key) {
    return FindLogin(spec, Pod(name_space, account),
                     {{"access_key_id", key}, {"secret_access_key", "s"}})
        ->Domain();
  };
  const std::string mine = domain("n", "a", "K");
  EXPECT_EQ(domain("n", "a", "K"), mine);
  EXPECT_NE(domain("m", "a", "K"), mine);
  EXPECT_NE(domain("n", "b", "K"), mine);
  EXPECT_NE(domain("n", "a", "L"), mine);
  EXPECT_NE(domain("n1", "a", "K"), domain("n", "1a", "K"));
  EXPECT_THAT(mine, Not(HasSubstr("K")));
}

}  // namespace
}  // namespace modelfs::fs
