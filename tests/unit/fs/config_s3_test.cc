// Credentials, endpoint and region, found where AWS's own clients find them.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "fs/config/s3_settings.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/fake_environment.h"

namespace modelfs::fs {
namespace {

class ResolveS3Test : public testing::Test {
 protected:
  ResolveS3Test() {
    env_.SetHome(temp_.path());
    env_.Set("AWS_EC2_METADATA_DISABLED", "true");
  }

  void Credentials(std::string_view text) { temp_.Write(".aws/credentials", text); }
  void AwsConfig(std::string_view text) { temp_.Write(".aws/config", text); }
  void SetKeys() {
    env_.Set("AWS_ACCESS_KEY_ID", "AKIAENV");
    env_.Set("AWS_SECRET_ACCESS_KEY", "env-secret");
  }
  ResolvedS3 Resolve() {
    auto resolved = ResolveS3(source_, env_);
    EXPECT_TRUE(resolved) << resolved.error().what;
    return resolved ? *resolved : ResolvedS3{};
  }
  Error Failure() {
    const auto resolved = ResolveS3(source_, env_);
    EXPECT_FALSE(resolved) << resolved->s3.credential_origin;
    return resolved ? Error{Errc::kIo, "accepted"} : resolved.error();
  }

  test::TempDir temp_;
  test::FakeEnvironment env_;
  SourceSettings source_;
};

TEST_F(ResolveS3Test, TakesKeysFromTheEnvironmentFirst) {
  SetKeys();
  env_.Set("AWS_SESSION_TOKEN", "token");
  Credentials("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n");
  const auto s3 = Resolve().s3;
  EXPECT_EQ(s3.access_key_id, "AKIAENV");
  EXPECT_EQ(s3.secret_access_key, "env-secret");
  EXPECT_EQ(s3.session_token, "token");
  EXPECT_EQ(s3.credential_origin, "environment");
}

TEST_F(ResolveS3Test, TakesTheOldNameOfTheToken) {
  SetKeys();
  env_.Set("AWS_SECURITY_TOKEN", "old");
  EXPECT_EQ(Resolve().s3.session_token, "old");
}

TEST_F(ResolveS3Test, AKeyNeedsItsSecret) {
  env_.Set("AWS_ACCESS_KEY_ID", "AKIAENV");
  Credentials("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n");
  EXPECT_EQ(Failure().code, Errc::kDenied);
  EXPECT_NE(Failure().what.find("AWS_SECRET_ACCESS_KEY is not"), std::string::npos)
      << Failure().what;
}

TEST_F(ResolveS3Test, AnEmptyVariableIsUnset) {
  env_.Set("AWS_ACCESS_KEY_ID", "");
  env_.Set("AWS_SECRET_ACCESS_KEY", "");
  Credentials("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n");
  EXPECT_EQ(Resolve().s3.access_key_id, "AKIAFILE");
}

TEST_F(ResolveS3Test, FindsTheDefaultProfileAndSaysWhere) {
  Credentials(
      "[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n"
      "aws_session_token = t\n");
  const auto s3 = Resolve().s3;
  EXPECT_EQ(s3.access_key_id, "AKIAFILE");
  EXPECT_EQ(s3.session_token, "t");
  EXPECT_EQ(s3.credential_origin,
            "profile 'default' of " + (temp_.path() / ".aws/credentials").string());
}

TEST_F(ResolveS3Test, FindsKeysInTheConfigFileToo) {
  AwsConfig("[profile work]\naws_access_key_id = AKIACONF\naws_secret_access_key = s\n");
  env_.Set("AWS_PROFILE", "work");
  const auto s3 = Resolve().s3;
  EXPECT_EQ(s3.access_key_id, "AKIACONF");
  EXPECT_EQ(s3.credential_origin, "profile 'work' of " + (temp_.path() / ".aws/config").string());
}

TEST_F(ResolveS3Test, NeverMixesTheKeysOfTwoFiles) {
  Credentials("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = s\n");
  AwsConfig("[default]\naws_session_token = of-another-key\n");
  EXPECT_EQ(Resolve().s3.session_token, "");
}

TEST_F(ResolveS3Test, TheProfileOfASourceBeatsTheEnvironmentAndAwsProfileDoesNot) {
  SetKeys();
  Credentials("[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = s\n");
  env_.Set("AWS_PROFILE", "work");
  EXPECT_EQ(Resolve().s3.access_key_id, "AKIAENV");
  source_.profile = "work";
  EXPECT_EQ(Resolve().s3.access_key_id, "AKIAWORK");
}

TEST_F(ResolveS3Test, FilesCanLieElsewhere) {
  temp_.Write("elsewhere/c", "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
  temp_.Write("d", "[default]\nregion = mars-1\n");
  env_.Set("AWS_SHARED_CREDENTIALS_FILE", (temp_.path() / "elsewhere/c").string());
  env_.Set("AWS_CONFIG_FILE", "~/d");
  EXPECT_EQ(Resolve().s3.access_key_id, "A");
  EXPECT_EQ(Resolve().s3.region, "mars-1");
}

TEST_F(ResolveS3Test, NoCredentialsNamesThePlacesAndAnonymous) {
  const Error error = Failure();
  EXPECT_EQ(error.code, Errc::kDenied);
  for (const std::string word :
       {"AWS_ACCESS_KEY_ID", ".aws/credentials", ".aws/config", "--anonymous", "default"}) {
    EXPECT_NE(error.what.find(word), std::string::npos) << error.what;
  }
}

TEST_F(ResolveS3Test, AProfileThatIsNotThereIsNamed) {
  SetKeys();
  env_.Set("AWS_PROFILE", "nowhere");
  EXPECT_EQ(Failure().code, Errc::kDenied);
  EXPECT_NE(Failure().what.find("'nowhere'"), std::string::npos);
}

TEST_F(ResolveS3Test, AnonymousLooksForNoKeys) {
  SetKeys();
  source_.anonymous = true;
  const auto s3 = Resolve().s3;
  EXPECT_TRUE(s3.anonymous);
  EXPECT_EQ(s3.access_key_id, "");
  EXPECT_EQ(s3.credential_origin, "anonymous");
}

TEST_F(ResolveS3Test, WhatCannotBeUsedYetIsNamedAndNotSkipped) {
  const std::string keys = "aws_access_key_id = A\naws_secret_access_key = s\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"role_arn = arn:x\nsource_profile = default\nmfa_serial = 1\n" + keys, "mfa_serial"},
      {"sso_session = x\n" + keys, "sso_session"},
      {"sso_start_url = x\n", "sso_start_url"},
      {"login_session = x\n", "login_session"}};
  for (const auto& [text, word] : cases) {
    AwsConfig("[default]\n" + text);
    EXPECT_EQ(Failure().code, Errc::kDenied) << text;
    EXPECT_NE(Failure().what.find(word), std::string::npos) << Failure().what;
  }
}

TEST_F(ResolveS3Test, EndpointsComeInTheOrderOfAwsClients) {
  SetKeys();
  EXPECT_EQ(Resolve().s3.endpoint, "");
  env_.Set("MLFLOW_S3_ENDPOINT_URL", "http://last:1");
  EXPECT_EQ(Resolve().s3.endpoint, "http://last:1");
  AwsConfig("[default]\nendpoint_url = http://profile:2\n");
  EXPECT_EQ(Resolve().s3.endpoint, "http://profile:2");
  AwsConfig(
      "[default]\nendpoint_url = http://profile:2\nservices = mine\n"
      "[services mine]\ns3 =\n  endpoint_url = http://services:3\n");
  EXPECT_EQ(Resolve().s3.endpoint, "http://services:3");
  env_.Set("AWS_ENDPOINT_URL", "http://all:4");
  EXPECT_EQ(Resolve().s3.endpoint, "http://all:4");
  env_.Set("AWS_ENDPOINT_URL_S3", "http://s3:5/");
  EXPECT_EQ(Resolve().s3.endpoint, "http://s3:5");
  source_.endpoint = "http://flag:6";
  EXPECT_EQ(Resolve().s3.endpoint, "http://flag:6");
}

TEST_F(ResolveS3Test, ConfiguredEndpointsCanBeIgnored) {
  SetKeys();
  env_.Set("AWS_ENDPOINT_URL", "http://all:4");
  env_.Set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
  EXPECT_EQ(Resolve().s3.endpoint, "");
  source_.endpoint = "http://flag:6";
  EXPECT_EQ(Resolve().s3.endpoint, "http://flag:6");
}

TEST_F(ResolveS3Test, ABadEndpointNamesItsVariable) {
  SetKeys();
  env_.Set("AWS_ENDPOINT_URL", "minio:9000");
  EXPECT_EQ(Failure().code, Errc::kInvalid);
  EXPECT_NE(Failure().what.find("AWS_ENDPOINT_URL: 'minio:9000'"), std::string::npos);
}

TEST_F(ResolveS3Test, RegionComesFromFlagVariableProfile) {
  SetKeys();
  EXPECT_EQ(Resolve().s3.region, "");
  AwsConfig("[default]\nregion = profile-1\n");
  EXPECT_EQ(Resolve().s3.region, "profile-1");
  env_.Set("AWS_DEFAULT_REGION", "default-1");
  EXPECT_EQ(Resolve().s3.region, "default-1");
  env_.Set("AWS_REGION", "region-1");
  EXPECT_EQ(Resolve().s3.region, "region-1");
  source_.region = "flag-1";
  EXPECT_EQ(Resolve().s3.region, "flag-1");
}

TEST_F(ResolveS3Test, ACaBundleMustBeReadable) {
  SetKeys();
  const auto pem = temp_.Write("ca.pem", "x").string();
  env_.Set("AWS_CA_BUNDLE", pem);
  EXPECT_EQ(Resolve().ca_bundle, pem);
  source_.ca_bundle = "/nonexistent/ca.pem";
  EXPECT_EQ(Failure().code, Errc::kNotFound);
  EXPECT_NE(Failure().what.find("/nonexistent/ca.pem"), std::string::npos);
  source_.ca_bundle = temp_.path().string();
  EXPECT_EQ(Failure().code, Errc::kIo);
}

TEST_F(ResolveS3Test, AddressingComesFromTheProfileToo) {
  SetKeys();
  EXPECT_EQ(Resolve().s3.addressing, S3Settings::Addressing::kAuto);
  AwsConfig("[default]\ns3 =\n  addressing_style = path\n");
  EXPECT_EQ(Resolve().s3.addressing, S3Settings::Addressing::kPath);
  source_.addressing = S3Settings::Addressing::kVirtual;
  EXPECT_EQ(Resolve().s3.addressing, S3Settings::Addressing::kVirtual);
}

TEST_F(ResolveS3Test, ABrokenFileIsNamedWithItsLine) {
  Credentials("[default]\nnonsense\n");
  EXPECT_EQ(Failure().code, Errc::kInvalid);
  EXPECT_NE(Failure().what.find(".aws/credentials"), std::string::npos);
  EXPECT_NE(Failure().what.find("line 2"), std::string::npos);
}

TEST_F(ResolveS3Test, SecretsAreInNoMessage) {
  env_.Set("AWS_SECRET_ACCESS_KEY", "hush-hush");
  EXPECT_EQ(Failure().what.find("hush-hush"), std::string::npos);
  Credentials("[default]\naws_secret_access_key = hush-hush\n");
  env_.Set("AWS_SECRET_ACCESS_KEY", "");
  EXPECT_EQ(Failure().what.find("hush-hush"), std::string::npos);
}

}  // namespace
}  // namespace modelfs::fs
