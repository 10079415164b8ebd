#include "fs/config/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using ::testing::HasSubstr;

class ReloadTest : public ::testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(origin_.file) << text; }
  ReloadTest() {
    origin_.file = (temp_.path() / "m.toml").string();
    origin_.home = temp_.path().string();
    origin_.environment = {{"AWS_ACCESS_KEY_ID", "AKIA"}, {"AWS_SECRET_ACCESS_KEY", "secret"}};
    origin_.flags = {{"cache", "/c"}, {"cache_size", "1GiB"}};
  }
  test::TempDir temp_;
  ConfigOrigin origin_;
};

TEST_F(ReloadTest, LaysTheFlagsOfThenOverTheFileOfNow) {
  origin_.sources = {"a=s3://bucket/a"};
  origin_.reach = {{"endpoint", "http://minio:9000"}};
  Write(
      "cache_size = 5\nfree_floor = \"7%\"\nbandwidth_limit = \"3MiB\"\n[timeouts]\nlisting_ttl = "
      "\"5s\"\n"
      "[[source]]\nname = \"d\"\nuri = \"dir:/d\"\n");
  const auto config = LoadAgain(origin_);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->daemon.cache_directory, "/c");
  EXPECT_EQ(config->daemon.cache_size, (Amount{Amount::Unit::kBytes, 1u << 30}));
  EXPECT_EQ(config->daemon.free_floor, (Amount{Amount::Unit::kPercent, 7}));
  EXPECT_EQ(config->daemon.bandwidth_limit, 3u << 20);
  EXPECT_EQ(config->mount.listing_ttl, std::chrono::seconds(5));
  ASSERT_EQ(config->mount.sources.size(), 2u);
  EXPECT_EQ(config->mount.sources[0].name, "d");
  EXPECT_EQ(config->mount.sources[1].name, "a");
  EXPECT_EQ(config->mount.sources[1].s3.endpoint, "http://minio:9000");
}

TEST_F(ReloadTest, SaysWhatIsWrongWithTheFile) {
  Write("[[source]]\nuri = \"dir:/d\"\n[[source]\n");
  const auto config = LoadAgain(origin_);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().what, HasSubstr("m.toml:3"));
}

TEST_F(ReloadTest, TravelsAsJson) {
  origin_.sources = {"a=s3://bucket/a"};
  origin_.reach = {{"endpoint", "http://minio:9000"}};
  origin_.leads = true;
  origin_.uid = 7;
  const auto read = ConfigOriginFromJson(ToJson(origin_));
  ASSERT_TRUE(read);
  EXPECT_EQ(ToJson(*read), ToJson(origin_));
  EXPECT_EQ(read->flags, origin_.flags);
  EXPECT_TRUE(read->leads);
  EXPECT_FALSE(ConfigOriginFromJson("text"));
  auto broken = ToJson(origin_);
  broken["flags"] = {{"one"}};
  EXPECT_FALSE(ConfigOriginFromJson(broken));
}

TEST_F(ReloadTest, RemembersWhatClientsReadAndNothingElse) {
  class Env final : public Environment {
   public:
    std::optional<std::string> Get(std::string_view name) const override {
      return "value of " + std::string(name);
    }
    std::vector<std::string> Names() const override {
      return {"AWS_PROFILE", "https_proxy", "MLFLOW_TRACKING_URI", "DATABASE_PASSWORD", "PATH"};
    }
    uid_t uid() const override { return 1; }
    gid_t gid() const override { return 2; }
    std::filesystem::path home() const override { return "/h"; }
  };
  ConfigOrigin origin;
  RememberEnvironment(Env(), origin);
  EXPECT_THAT(origin.environment, ::testing::UnorderedElementsAre(
                                      ::testing::Key("AWS_PROFILE"), ::testing::Key("https_proxy"),
                                      ::testing::Key("MLFLOW_TRACKING_URI")));
  EXPECT_EQ(origin.home, "/h");
}

}  // namespace
}  // namespace modelfs::fs
