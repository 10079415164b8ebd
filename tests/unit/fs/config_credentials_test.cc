// Where keys that change come from, in the order of AWS's own clients.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "fs/config/proxy_variables.h"
#include "fs/config/s3_settings.h"
#include "fs/spec.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/fake_environment.h"

namespace modelfs::fs {
namespace {

using fetch::CredentialSettings;
using testing::Contains;
using testing::HasSubstr;
using Kind = CredentialSettings::Kind;

class CredentialChainTest : public testing::Test {
 protected:
  CredentialChainTest() { env_.SetHome(temp_.path()); }

  void AwsConfig(std::string_view text) { temp_.Write(".aws/config", text); }
  void AwsCredentials(std::string_view text) { temp_.Write(".aws/credentials", text); }
  CredentialSettings Find() {
    const auto found = ResolveS3(source_, env_);
    EXPECT_TRUE(found) << found.error().what;
    return found ? found->s3.credentials : CredentialSettings{};
  }
  Error Failure() {
    const auto found = ResolveS3(source_, env_);
    EXPECT_FALSE(found);
    return found ? Error{Errc::kIo, "accepted"} : found.error();
  }
  std::string Path(const char* name) const { return (temp_.path() / name).string(); }

  test::TempDir temp_;
  test::FakeEnvironment env_;
  SourceSettings source_;
};

constexpr const char* kKeys = "aws_access_key_id = AKIA\naws_secret_access_key = s\n";

TEST_F(CredentialChainTest, TheInstanceComesLastAndRemembersWhereWeLooked) {
  const auto instance = Find();
  EXPECT_EQ(instance.kind, Kind::kInstance);
  EXPECT_EQ(instance.uri, "http://169.254.169.254");
  EXPECT_TRUE(instance.version_1_allowed);
  EXPECT_THAT(instance.where, HasSubstr("AWS_ACCESS_KEY_ID"));
  env_.Set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1338/");
  env_.Set("AWS_EC2_METADATA_V1_DISABLED", "true");
  env_.Set("AWS_METADATA_SERVICE_TIMEOUT", "3");
  env_.Set("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "99");
  const auto other = Find();
  EXPECT_EQ(other.uri, "http://127.0.0.1:1338");
  EXPECT_FALSE(other.version_1_allowed);
  EXPECT_EQ(other.timeout, std::chrono::seconds(3));
  EXPECT_EQ(other.attempts, 10u);
  env_.Set("AWS_EC2_METADATA_DISABLED", "true");
  EXPECT_EQ(Failure().code, Errc::kDenied);
}

TEST_F(CredentialChainTest, AContainerComesBeforeTheInstance) {
  env_.Set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
  env_.Set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/run/token");
  auto container = Find();
  EXPECT_EQ(container.kind, Kind::kContainer);
  EXPECT_EQ(container.uri, "http://169.254.170.23/v1/credentials");
  EXPECT_EQ(container.token_file, "/var/run/token");
  env_.Set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/7");
  EXPECT_EQ(Find().uri, "http://169.254.170.2/v2/credentials/7");
  AwsCredentials(std::string("[default]\n") + kKeys);
  EXPECT_EQ(Find().kind, Kind::kProfile);
}

TEST_F(CredentialChainTest, KeysOfAProfileAreHandedOverWithTheirFiles) {
  AwsCredentials(std::string("[work]\n") + kKeys);
  env_.Set("AWS_PROFILE", "work");
  const auto profile = Find();
  EXPECT_EQ(profile.kind, Kind::kProfile);
  EXPECT_EQ(profile.profile, "work");
  EXPECT_EQ(profile.credentials_file, Path(".aws/credentials"));
  EXPECT_EQ(profile.config_file, Path(".aws/config"));
}

TEST_F(CredentialChainTest, AWebIdentityComesBeforeKeysOfAProfile) {
  AwsCredentials(std::string("[default]\n") + kKeys);
  env_.Set("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
  EXPECT_EQ(Find().kind, Kind::kProfile);  // Not without a role.
  env_.Set("AWS_ROLE_ARN", "arn:aws:iam::1:role/r");
  env_.Set("AWS_ROLE_SESSION_NAME", "pod");
  env_.Set("AWS_REGION", "eu-west-1");
  const auto identity = Find();
  EXPECT_EQ(identity.kind, Kind::kWebIdentity);
  EXPECT_EQ(identity.role_arn, "arn:aws:iam::1:role/r");
  EXPECT_EQ(identity.token_file, "/token");
  EXPECT_EQ(identity.role_session_name, "pod");
  EXPECT_EQ(identity.region, "eu-west-1");
  EXPECT_EQ(identity.sts_endpoint, "");
  env_.Set("AWS_ENDPOINT_URL", "http://all:1");
  EXPECT_EQ(Find().sts_endpoint, "http://all:1");
  env_.Set("AWS_ENDPOINT_URL_STS", "http://sts:2/");
  EXPECT_EQ(Find().sts_endpoint, "http://sts:2");
  source_.profile = "default";  // Asked for by name: the variables do not count.
  EXPECT_EQ(Find().kind, Kind::kProfile);
}

TEST_F(CredentialChainTest, AProfileMayNameAWebIdentity) {
  AwsConfig("[default]\nrole_arn = arn:r\nweb_identity_token_file = /t\nrole_session_name = n\n");
  const auto identity = Find();
  EXPECT_EQ(identity.kind, Kind::kWebIdentity);
  EXPECT_EQ(identity.token_file, "/t");
  EXPECT_EQ(identity.role_session_name, "n");
}

TEST_F(CredentialChainTest, AProgramGetsTheCallersVariables) {
  AwsConfig("[default]\ncredential_process = \"/opt/my tool\" --x\n");
  env_.Set("PATH", "/opt/bin");
  env_.Set("UNRELATED_SECRET", "hush");
  const auto process = Find();
  EXPECT_EQ(process.kind, Kind::kProcess);
  EXPECT_EQ(process.command, "\"/opt/my tool\" --x");
  EXPECT_THAT(process.environment, Contains("PATH=/opt/bin"));
  EXPECT_THAT(process.environment, testing::Not(Contains(HasSubstr("hush"))));
}

TEST_F(CredentialChainTest, ARoleIsAssumedWithAnotherProfile) {
  AwsConfig(
      "[default]\nrole_arn = arn:outer\nsource_profile = middle\nexternal_id = e\n"
      "duration_seconds = 900\nregion = r-1\nservices = local\n"
      "[services local]\nsts =\n  endpoint_url = http://sts:1\n"
      "[profile middle]\nrole_arn = arn:middle\nsource_profile = base\n"
      "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n");
  const auto outer = Find();
  EXPECT_EQ(outer.kind, Kind::kAssumeRole);
  EXPECT_EQ(outer.role_arn, "arn:outer");
  EXPECT_EQ(outer.external_id, "e");
  EXPECT_EQ(outer.duration_seconds, 900u);
  EXPECT_EQ(outer.region, "r-1");
  EXPECT_EQ(outer.sts_endpoint, "http://sts:1");
  ASSERT_TRUE(outer.source);
  EXPECT_EQ(outer.source->role_arn, "arn:middle");
  ASSERT_TRUE(outer.source->source);
  EXPECT_EQ(outer.source->source->kind, Kind::kProfile);
  EXPECT_EQ(outer.source->source->access_key_id, "AKIABASE");
}

TEST_F(CredentialChainTest, ARoleMayBeAssumedWithItsProfilesOwnKeys) {
  AwsConfig(std::string("[default]\nrole_arn = arn:r\nsource_profile = default\n") + kKeys);
  const auto role = Find();
  EXPECT_EQ(role.kind, Kind::kAssumeRole);
  ASSERT_TRUE(role.source);
  EXPECT_EQ(role.source->access_key_id, "AKIA");
}

TEST_F(CredentialChainTest, ARoleMayBeAssumedWithANamedSource) {
  AwsConfig("[default]\nrole_arn = arn:r\ncredential_source = Ec2InstanceMetadata\n");
  EXPECT_EQ(Find().source->kind, Kind::kInstance);
  AwsConfig("[default]\nrole_arn = arn:r\ncredential_source = EcsContainer\n");
  EXPECT_EQ(Failure().code, Errc::kDenied);
  env_.Set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
  EXPECT_EQ(Find().source->kind, Kind::kContainer);
  AwsConfig("[default]\nrole_arn = arn:r\ncredential_source = Environment\n");
  EXPECT_EQ(Failure().code, Errc::kDenied);
}

TEST_F(CredentialChainTest, WrongRolesAreNamed) {
  for (const std::string text :
       {"", "source_profile = x\ncredential_source = Environment\n", "source_profile = absent\n",
        "credential_source = Elsewhere\n",
        "source_profile = b\n[profile b]\nrole_arn = arn:b\nsource_profile = default\n",
        "source_profile = b\n[profile b]\nregion = x\n"}) {
    AwsConfig("[default]\nrole_arn = arn:r\n" + text);
    const Error error = Failure();
    EXPECT_TRUE(error.code == Errc::kInvalid || error.code == Errc::kDenied) << error.what;
    EXPECT_THAT(error.what, HasSubstr("profile")) << text;
  }
}

TEST_F(CredentialChainTest, SettingsTravelAsJson) {
  AwsConfig(
      "[default]\nrole_arn = arn:r\nsource_profile = base\nduration_seconds = 900\n"
      "[profile base]\ncredential_process = x\n");
  env_.Set("PATH", "/bin");
  MountSpec spec{.mountpoint = "/m"};
  spec.sources.push_back({.name = "n", .uri = "s3://b"});
  spec.sources[0].s3.credentials = Find();
  spec.sources[0].proxy = {.http = "http://p:1", .no_proxy = "*"};
  spec.sources[0].auth_file = "/auth";
  const auto read = MountSpecFromJson(nlohmann::json::parse(ToJson(spec).dump()));
  ASSERT_TRUE(read) << read.error().what;
  const auto& credentials = read->sources[0].s3.credentials;
  EXPECT_EQ(credentials.kind, Kind::kAssumeRole);
  EXPECT_EQ(credentials.duration_seconds, 900u);
  ASSERT_TRUE(credentials.source);
  EXPECT_EQ(credentials.source->kind, Kind::kProcess);
  EXPECT_THAT(credentials.source->environment, Contains("PATH=/bin"));
  EXPECT_EQ(read->sources[0].proxy, spec.sources[0].proxy);
  EXPECT_EQ(read->sources[0].auth_file, "/auth");
  EXPECT_EQ(ToJson(*read), ToJson(spec));
  auto json = ToJson(spec);
  json["sources"][0]["s3"]["credentials"]["source"]["kind"] = "magic";
  const auto bad = MountSpecFromJson(json);
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().what, HasSubstr("credentials.source.kind"));
}

TEST(FindProxies, ReadsWhatLibcurlReads) {
  test::FakeEnvironment env;
  env.Set("HTTP_PROXY", "http://of-a-cgi-client");
  EXPECT_EQ(FindProxies(env), fetch::ProxySettings{});
  env.Set("http_proxy", "http://a:1");
  env.Set("HTTPS_PROXY", "http://b:2");
  env.Set("ALL_PROXY", "http://c:3");
  env.Set("NO_PROXY", "x");
  env.Set("no_proxy", "y");
  EXPECT_EQ(FindProxies(env),
            (fetch::ProxySettings{"http://a:1", "http://b:2", "http://c:3", "y"}));
}

}  // namespace
}  // namespace modelfs::fs
