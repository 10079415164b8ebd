#include <gtest/gtest.h>

#include <string>

#include "fs/config.h"
#include "fs/config/mlflow_login.h"
#include "fs/config/source_uri.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/fake_environment.h"

namespace modelfs::fs {
namespace {

using test::TempDir;

class MlflowLoginTest : public testing::Test {
 protected:
  void SetUp() override { env_.SetHome(home_.path()); }

  Result<fetch::MlflowSettings> Resolve(std::string_view address = "http://mlflow:5000") {
    return ResolveMlflow(address, source_, env_);
  }
  std::string Complaint() {
    const auto resolved = Resolve();
    return resolved ? "" : resolved.error().what;
  }

  TempDir home_;
  test::FakeEnvironment env_;
  SourceSettings source_;
};

TEST_F(MlflowLoginTest, ReadsTheCredentialsFileAndLetsVariablesWinPerField) {
  home_.Write(".mlflow/credentials",
              "# login\n[other]\nmlflow_tracking_username = nobody\n[mlflow]\n"
              "mlflow_tracking_username = ann\nmlflow_tracking_password = from file\n");
  auto resolved = Resolve();
  ASSERT_TRUE(resolved) << resolved.error().what;
  EXPECT_EQ(resolved->username, "ann");
  EXPECT_EQ(resolved->password, "from file");
  env_.Set("MLFLOW_TRACKING_PASSWORD", "from variable");
  env_.Set("MLFLOW_TRACKING_TOKEN", "t");
  env_.Set("MLFLOW_WORKSPACE", "team");
  resolved = Resolve();
  ASSERT_TRUE(resolved);
  EXPECT_EQ(resolved->username, "ann");
  EXPECT_EQ(resolved->password, "from variable");
  EXPECT_EQ(resolved->token, "t");
  EXPECT_EQ(resolved->workspace, "team");
}

TEST_F(MlflowLoginTest, AFileMayHoldTheLogin) {
  source_.token_file = home_.Write("token", "t").string();
  auto resolved = Resolve();
  ASSERT_TRUE(resolved) << resolved.error().what;
  EXPECT_EQ(resolved->token_file, *source_.token_file);
  source_.auth_file = home_.Write("auth", "u:p").string();
  EXPECT_NE(Complaint().find("exclude each other"), std::string::npos) << Complaint();
  source_.token_file.reset();
  source_.auth_file = "/nowhere/auth";
  EXPECT_NE(Complaint().find("/nowhere/auth"), std::string::npos) << Complaint();
}

TEST_F(MlflowLoginTest, NamesFileAndLineOfABadCredentialsFile) {
  home_.Write(".mlflow/credentials", "[mlflow]\nnonsense\n");
  EXPECT_NE(Complaint().find("credentials:2"), std::string::npos) << Complaint();
}

TEST_F(MlflowLoginTest, TheTwoTlsVariablesExcludeEachOther) {
  env_.Set("MLFLOW_TRACKING_INSECURE_TLS", "true");
  auto resolved = Resolve();
  ASSERT_TRUE(resolved);
  EXPECT_TRUE(resolved->insecure_tls);
  env_.Set("MLFLOW_TRACKING_SERVER_CERT_PATH", "/ca.pem");
  EXPECT_NE(Complaint().find("contradict"), std::string::npos);
}

TEST_F(MlflowLoginTest, ALoginOfAnotherServersUriIsNotUsed) {
  env_.Set("MLFLOW_TRACKING_URI", "http://ann:secret@mlflow:5000");
  env_.Set("MLFLOW_REGISTRY_URI", "http://registry:1");
  const auto other = Resolve("http://elsewhere:5000");
  ASSERT_TRUE(other);
  EXPECT_EQ(other->username, "");
  EXPECT_EQ(other->password, "");
  EXPECT_EQ(other->registry_uri, "");
}

TEST_F(MlflowLoginTest, RefusesLoginsThatItCannotDo) {
  env_.Set("MLFLOW_TRACKING_AWS_SIGV4", "true");
  EXPECT_NE(Complaint().find("MLFLOW_TRACKING_AWS_SIGV4"), std::string::npos);
  env_.Set("MLFLOW_TRACKING_AWS_SIGV4", "false");
  EXPECT_EQ(Complaint(), "");
}

TEST(MlflowSourceUriTest, TakesServersAndRefusesTheRest) {
  const auto plain = ParseSourceUri("mlflow:https://mlflow.example/prefix/");
  ASSERT_TRUE(plain) << plain.error().what;
  EXPECT_EQ(plain->scheme, SourceUri::Scheme::kMlflow);
  EXPECT_EQ(plain->name, "");
  EXPECT_EQ(plain->uri, "mlflow:https://mlflow.example/prefix");
  const auto named = ParseSourceUri("prod=mlflow:http://m:5000");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->name, "prod");
  for (const std::string text : {"mlflow:m:5000", "mlflow:ftp://m", "mlflow:http://",
                                 "mlflow:", "mlflow:http://m:99999", "mlflow:http://m/?a=b"}) {
    EXPECT_FALSE(ParseSourceUri(text)) << text;
  }
  const auto secret = ParseSourceUri("mlflow:http://ann:secret@m:5000");
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().what.find("secret"), std::string::npos) << secret.error().what;
}

TEST(MlflowSourceTest, NeedsNoAwsCredentials) {
  test::FakeEnvironment env;
  SourceSettings source;
  source.where = "--source";
  source.uri = "mlflow:http://m:5000";
  source.models = {"a*"};
  auto spec = ResolveSource(source, env);
  ASSERT_TRUE(spec) << spec.error().what;
  EXPECT_EQ(spec->s3.access_key_id, "");
  EXPECT_EQ(spec->models, source.models);
  env.Set("AWS_ACCESS_KEY_ID", "AKIA");
  env.Set("AWS_SECRET_ACCESS_KEY", "s");
  env.Set("AWS_ENDPOINT_URL_S3", "http://aws:1");
  env.Set("MLFLOW_S3_ENDPOINT_URL", "http://minio:1");
  spec = ResolveSource(source, env);
  ASSERT_TRUE(spec) << spec.error().what;
  EXPECT_EQ(spec->s3.access_key_id, "AKIA");
  EXPECT_EQ(spec->s3.endpoint, "http://minio:1");
}

}  // namespace
}  // namespace modelfs::fs
