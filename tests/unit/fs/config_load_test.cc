// How file, flags, environment and defaults become the specs of a daemon and its mount.

#include <gtest/gtest.h>

#include <string>

#include "fetch/base/size.h"
#include "fs/config.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/fake_environment.h"

namespace modelfs::fs {
namespace {

using namespace std::chrono_literals;

SourceSettings Flag(const std::string& uri) {
  SourceSettings source;
  source.where = "--source";
  source.uri = uri;
  return source;
}

class LoadConfigTest : public testing::Test {
 protected:
  LoadConfigTest()
      : env_({{"AWS_ACCESS_KEY_ID", "AKIATEST"}, {"AWS_SECRET_ACCESS_KEY", "very-secret"}}) {
    env_.SetHome(temp_.path());
    flags_.sources.push_back(Flag("s3://bucket/x"));
  }

  std::filesystem::path File(std::string_view text) { return temp_.Write("m.toml", text); }
  Result<Config> Load() { return LoadConfig(flags_, std::nullopt, env_); }
  std::string Complaint() {
    const auto config = Load();
    if (config) return "accepted";
    EXPECT_EQ(config.error().code, Errc::kInvalid);
    return config.error().what;
  }

  test::TempDir temp_;
  test::FakeEnvironment env_;
  Settings flags_;
};

TEST_F(LoadConfigTest, FillsInDefaults) {
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->daemon.cache_directory, (temp_.path() / ".cache/modelfs").string());
  EXPECT_EQ(config->daemon.index_directory, "");
  EXPECT_EQ(config->daemon.chunk_size_bytes, kMiB);
  EXPECT_GE(config->daemon.memory_bytes, 8 * kMiB);
  EXPECT_LE(config->daemon.memory_bytes, 512 * kMiB);
  EXPECT_EQ(config->daemon.log_level, "info");
  EXPECT_TRUE(config->daemon.control_socket.starts_with("/tmp/modelfs-1000/"));
  EXPECT_EQ(config->mount.uid, 1000u);
  EXPECT_EQ(config->mount.gid, 1000u);
  EXPECT_EQ(config->mount.read_timeout, 5min);
  EXPECT_EQ(config->mount.listing_ttl, 60s);
  EXPECT_FALSE(config->mount.allow_other);
  ASSERT_EQ(config->mount.sources.size(), 1u);
  EXPECT_EQ(config->mount.sources[0].name, "bucket");
  EXPECT_EQ(config->mount.sources[0].uri, "s3://bucket/x");
  EXPECT_EQ(config->mount.sources[0].s3.access_key_id, "AKIATEST");
  EXPECT_TRUE(config->notes.empty());
}

TEST_F(LoadConfigTest, AFlagWinsOverTheFile) {
  const auto file = File("cache = '/from-file'\nindex = '/index'\nchunk_size = '4MiB'\nuid = 5\n");
  flags_.cache = "/from-flag";
  flags_.uid = 7;
  const auto config = LoadConfig(flags_, file, env_);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->daemon.cache_directory, "/from-flag");
  EXPECT_EQ(config->daemon.index_directory, "/index");
  EXPECT_EQ(config->daemon.chunk_size_bytes, 4 * kMiB);
  EXPECT_EQ(config->mount.uid, 7u);
}

TEST_F(LoadConfigTest, EverySettingCanComeFromAFlagAlone) {
  flags_.index = "/i";
  flags_.memory = Amount{Amount::Unit::kBytes, 100 * kMiB};
  flags_.chunk_size_bytes = 2 * kMiB;
  flags_.allow_other = true;
  flags_.gid = 9;
  flags_.umask = 022;
  flags_.read_timeout = 1s;
  flags_.listing_ttl = 2s;
  flags_.io_backend = index::IoBackend::kThreads;
  flags_.log_level = "debug";
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->daemon.index_directory, "/i");
  EXPECT_EQ(config->daemon.memory_bytes, 100 * kMiB);
  EXPECT_EQ(config->daemon.chunk_size_bytes, 2 * kMiB);
  EXPECT_EQ(config->daemon.io_backend, index::IoBackend::kThreads);
  EXPECT_EQ(config->daemon.log_level, "debug");
  EXPECT_TRUE(config->mount.allow_other);
  EXPECT_EQ(config->mount.gid, 9u);
  EXPECT_EQ(config->mount.umask, 022u);
  EXPECT_EQ(config->mount.read_timeout, 1s);
  EXPECT_EQ(config->mount.listing_ttl, 2s);
}

TEST_F(LoadConfigTest, SourcesOfTheCommandLineComeAfterThoseOfTheFile) {
  const auto file = File("[[source]]\nname = 'wheels'\nuri = 's3://w'\n");
  const auto config = LoadConfig(flags_, file, env_);
  ASSERT_TRUE(config) << config.error().what;
  ASSERT_EQ(config->mount.sources.size(), 2u);
  EXPECT_EQ(config->mount.sources[0].name, "wheels");
  EXPECT_EQ(config->mount.sources[1].name, "bucket");
}

TEST_F(LoadConfigTest, TwoSourcesOfOneNameAreNamedBoth) {
  flags_.sources.push_back(Flag("s3://bucket/y"));
  const std::string complaint = Complaint();
  EXPECT_NE(complaint.find("s3://bucket/x"), std::string::npos) << complaint;
  EXPECT_NE(complaint.find("s3://bucket/y"), std::string::npos) << complaint;
  flags_.sources.back().uri = "y=s3://bucket/y";
  EXPECT_TRUE(Load());
}

TEST_F(LoadConfigTest, ANameInTheFileIsCheckedToo) {
  SourceSettings source = Flag("s3://b");
  source.name = "a/b";
  flags_.sources = {source};
  EXPECT_NE(Complaint().find("'a/b'"), std::string::npos);
  flags_.sources[0].name = "root";
  flags_.sources[0].uri = "dir:/";
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->mount.sources[0].name, "root");
  EXPECT_EQ(config->mount.sources[0].uri, "dir:/");
}

TEST_F(LoadConfigTest, NoSourceIsAnErrorWithAdvice) {
  flags_.sources.clear();
  EXPECT_NE(Complaint().find("--source"), std::string::npos);
  env_.Set("MLFLOW_TRACKING_URI", "sqlite:///mlruns.db");
  EXPECT_NE(Complaint().find("MLFLOW_TRACKING_URI"), std::string::npos);
}

TEST_F(LoadConfigTest, WithoutASourceItIsMlflowsServer) {
  flags_.sources.clear();
  env_.Set("MLFLOW_TRACKING_URI", "http://ann:s%40cret@mlflow:5000/");
  env_.Set("MLFLOW_REGISTRY_URI", "http://registry:5000/");
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  ASSERT_EQ(config->mount.sources.size(), 1u);
  const SourceSpec& source = config->mount.sources[0];
  EXPECT_EQ(source.name, "");
  EXPECT_EQ(source.uri, "mlflow:http://mlflow:5000");
  EXPECT_EQ(source.mlflow.tracking_uri, "http://mlflow:5000");
  EXPECT_EQ(source.mlflow.registry_uri, "http://registry:5000");
  EXPECT_EQ(source.mlflow.username, "ann");
  EXPECT_EQ(source.mlflow.password, "s@cret");
}

TEST_F(LoadConfigTest, ADirectoryNeedsNoCredentials) {
  flags_.sources = {Flag("dir:/data")};
  flags_.sources[0].endpoint = "http://minio:9000";  // For its neighbours on the command line.
  const auto config = LoadConfig(flags_, std::nullopt, test::FakeEnvironment());
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->mount.sources[0].s3.endpoint, "");
  flags_.sources[0].where = "m.toml:1";
  EXPECT_NE(Complaint().find("endpoint"), std::string::npos);
}

TEST_F(LoadConfigTest, AFilterIsForMlflow) {
  flags_.sources[0].models = {"x*"};
  EXPECT_NE(Complaint().find("models"), std::string::npos);
}

TEST_F(LoadConfigTest, MemoryMustHoldAFewChunks) {
  flags_.memory = Amount{Amount::Unit::kBytes, 4 * kMiB};
  EXPECT_NE(Complaint().find("memory"), std::string::npos);
  flags_.memory = Amount{Amount::Unit::kPercent, 1};
  flags_.chunk_size_bytes = 16 * kMiB;
  EXPECT_GE(Load()->daemon.memory_bytes, 128 * kMiB);
  flags_.memory = Amount{Amount::Unit::kPercent, 100};
  EXPECT_LE(Load()->daemon.memory_bytes, 512 * kMiB);
}

TEST_F(LoadConfigTest, SaysWhatHasNoEffectYet) {
  flags_.cache_size = Amount{Amount::Unit::kPercent, 80};
  flags_.promotion_warm = "profile";
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  ASSERT_EQ(config->notes.size(), 1u);
  EXPECT_NE(config->notes[0].find("promotion.warm"), std::string::npos);
}

TEST_F(LoadConfigTest, ACacheCanLieInMemory) {
  flags_.cache = "memory";
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_TRUE(config->daemon.cache_in_memory);
  EXPECT_EQ(config->daemon.cache_directory, "/dev/shm/modelfs-1000/cache");
  ASSERT_EQ(config->notes.size(), 1u);
  EXPECT_NE(config->notes[0].find("memory"), std::string::npos);
}

TEST_F(LoadConfigTest, ASharedCacheIsOneDirectoryOfItsOwn) {
  EXPECT_EQ(Load()->daemon.shared_cache, "");
  flags_.shared_cache = "some/../shared/";
  flags_.shared_cache_size = Amount{Amount::Unit::kPercent, 90};
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->daemon.shared_cache, (std::filesystem::current_path() / "shared").string());
  EXPECT_EQ(config->daemon.shared_cache_size.value, 90u);
  EXPECT_TRUE(config->notes.empty());
}

TEST_F(LoadConfigTest, RelativeDirectoriesBecomeAbsolute) {
  flags_.cache = "some/../cache/";
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->daemon.cache_directory, (std::filesystem::current_path() / "cache").string());
}

TEST_F(LoadConfigTest, ErrorsSayWhereASourceWasNamed) {
  flags_.sources.clear();
  const auto config = LoadConfig(flags_, File("\n[[source]]\nuri = 's4://x'\n"), env_);
  ASSERT_FALSE(config);
  EXPECT_NE(config.error().what.find("m.toml:2: "), std::string::npos) << config.error().what;
}

TEST_F(LoadConfigTest, AWebServerTakesFilesOfSecretsAndNothingOfS3) {
  const auto auth = temp_.Write("auth", "me:hush").string();
  flags_.sources = {{.where = "m.toml:1", .uri = "w=https://h:8443/x/", .auth_file = auth}};
  env_.Set("https_proxy", "http://proxy:3128");
  const auto config = Load();
  ASSERT_TRUE(config) << config.error().what;
  const SourceSpec& source = config->mount.sources[0];
  EXPECT_EQ(source.uri, "https://h:8443/x");
  EXPECT_EQ(source.auth_file, auth);
  EXPECT_EQ(source.proxy.https, "http://proxy:3128");
  flags_.sources[0].token_file = auth;
  EXPECT_EQ(Load().error().code, Errc::kInvalid);
  flags_.sources[0].auth_file = "/nonexistent/auth";
  flags_.sources[0].token_file.reset();
  EXPECT_EQ(Load().error().code, Errc::kNotFound);
  flags_.sources[0].auth_file.reset();
  flags_.sources[0].region = "x";
  EXPECT_NE(Load().error().what.find("region means nothing to an http: source"), std::string::npos);
  flags_.sources = {{.where = "m.toml:1", .uri = "s3://b", .token_file = auth}};
  EXPECT_NE(Load().error().what.find("token_file means nothing to an s3: source"),
            std::string::npos);
}

}  // namespace
}  // namespace modelfs::fs
