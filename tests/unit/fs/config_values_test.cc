// Durations, endpoints, source URIs, memory limits and default paths.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "fetch/base/size.h"
#include "fs/config/default_paths.h"
#include "fs/config/duration.h"
#include "fs/config/endpoint.h"
#include "fs/config/memory_limit.h"
#include "fs/config/source_uri.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/fake_environment.h"

namespace modelfs::fs {
namespace {

using namespace std::chrono_literals;
using test::FakeEnvironment;
using test::TempDir;

TEST(DurationTest, ReadsEveryUnit) {
  EXPECT_EQ(*ParseDuration("500ms"), 500ms);
  EXPECT_EQ(*ParseDuration("60s"), 60s);
  EXPECT_EQ(*ParseDuration("5m"), 5min);
  EXPECT_EQ(*ParseDuration("2h"), 2h);
  EXPECT_EQ(*ParseDuration("1d"), 24h);
  EXPECT_EQ(*ParseDuration("3 s"), 3s);
  EXPECT_EQ(*ParseDuration("0"), 0s);
}

TEST(DurationTest, RefusesWhatIsNone) {
  for (const char* text : {"", "5", "s", "-5s", "5 potatoes", "1.5s", "5ss", "31d",
                           "99999999999999999999s", "9223372036854775807ms"}) {
    const auto parsed = ParseDuration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::kInvalid) << text;
    EXPECT_NE(parsed.error().what.find(text), std::string::npos) << parsed.error().what;
  }
}

TEST(DurationTest, ShowsTwoUnits) {
  EXPECT_EQ(FormatDuration(12s), "12 s");
  EXPECT_EQ(FormatDuration(200s), "3m 20s");
  EXPECT_EQ(FormatDuration(65min), "1h 05m");
  EXPECT_EQ(FormatDuration(49h), "2d 01h");
}

TEST(EndpointTest, TakesHostAndPort) {
  EXPECT_EQ(*ParseEndpoint("http://minio:9000"), "http://minio:9000");
  EXPECT_EQ(*ParseEndpoint("https://s3.example.com/"), "https://s3.example.com");
  EXPECT_EQ(*ParseEndpoint("http://[::1]:9000"), "http://[::1]:9000");
}

TEST(EndpointTest, RefusesWhatIsNone) {
  for (const char* text : {"", "minio:9000", "ftp://x", "http://", "http:///", "http://a b",
                           "http://a/b", "http://a?x", "http://u:p@host", "http://a:", "http://a:0",
                           "http://a:99999", "http://a:9x", "http://[::1", "http://:80"}) {
    EXPECT_FALSE(ParseEndpoint(text)) << text;
  }
}

TEST(SourceUriTest, NamesAnS3SourceAfterItsBucket) {
  const auto source = ParseSourceUri("s3://bucket/some/prefix/");
  ASSERT_TRUE(source) << source.error().what;
  EXPECT_EQ(source->scheme, SourceUri::Scheme::kS3);
  EXPECT_EQ(source->name, "bucket");
  EXPECT_EQ(source->uri, "s3://bucket/some/prefix");
}

TEST(SourceUriTest, TakesANameInFrontAndOnlyThere) {
  EXPECT_EQ(ParseSourceUri("m=s3://bucket")->name, "m");
  const auto inside = ParseSourceUri("s3://bucket/date=1/x");
  ASSERT_TRUE(inside) << inside.error().what;
  EXPECT_EQ(inside->name, "bucket");
  EXPECT_EQ(inside->uri, "s3://bucket/date=1/x");
}

TEST(SourceUriTest, NamesAFolderAfterItself) {
  const auto source = ParseSourceUri("dir:/data//models/../zoo/");
  ASSERT_TRUE(source) << source.error().what;
  EXPECT_EQ(source->scheme, SourceUri::Scheme::kDir);
  EXPECT_EQ(source->name, "zoo");
  EXPECT_EQ(source->uri, "dir:/data/zoo");
  EXPECT_FALSE(ParseSourceUri("dir:/"));
  EXPECT_EQ(ParseSourceUri("all=dir:/")->uri, "dir:/");
  EXPECT_EQ(ParseSourceUri("dir:///data")->uri, "dir:/data");
}

TEST(SourceUriTest, TakesWebServersByTheNameOfTheHost) {
  const auto source = ParseSourceUri("https://Files.example:8443/models/");
  ASSERT_TRUE(source) << source.error().what;
  EXPECT_EQ(source->scheme, SourceUri::Scheme::kHttp);
  EXPECT_EQ(source->name, "files.example");
  EXPECT_EQ(source->uri, "https://files.example:8443/models");
  EXPECT_EQ(ParseSourceUri("m=http://h/")->uri, "http://h");
  const auto password = ParseSourceUri("http://me:hush@h/");
  ASSERT_FALSE(password);
  EXPECT_EQ(password.error().what.find("hush"), std::string::npos) << password.error().what;
}

TEST(SourceUriTest, RefusesWhatCannotBe) {
  for (const std::string text :
       {"", "models", "s4://b", "s3://", "s3:///x", "s3://-b", "s3://b_!/x", "s3://b//x",
        "s3://b/../x", "dir:relative", "dir:", "=s3://b", "a/b=s3://b", "..=s3://b", ".=s3://b",
        ".modelfs=s3://b", "s3://b/a\nb", "x\ty=s3://b"}) {
    const auto source = ParseSourceUri(text);
    ASSERT_FALSE(source) << text;
    EXPECT_EQ(source.error().code, Errc::kInvalid) << text;
    EXPECT_EQ(source.error().what.find('\n'), std::string::npos) << text;
  }
  EXPECT_FALSE(ParseSourceUri(fmt::format("{:n>256}=s3://b", "")));
}

class MemoryLimitTest : public testing::Test {
 protected:
  void SetUp() override {
    root_.Write("proc/meminfo", "MemTotal:       8388608 kB\nMemFree: 1 kB\n");
  }
  TempDir root_;
};

TEST_F(MemoryLimitTest, IsTheMachinesWithoutACgroup) {
  EXPECT_EQ(MemoryLimitBytes(root_.path()), 8 * kGiB);
}

TEST_F(MemoryLimitTest, IsTheSmallestOfVersion2GroupsUpwards) {
  root_.Write("proc/self/cgroup", "0::/pods/mine\n");
  root_.Write("sys/fs/cgroup/pods/mine/memory.max", "max\n");
  root_.Write("sys/fs/cgroup/pods/memory.max", "1073741824\n");
  EXPECT_EQ(MemoryLimitBytes(root_.path()), kGiB);
  root_.Write("sys/fs/cgroup/pods/mine/memory.max", "536870912\n");
  EXPECT_EQ(MemoryLimitBytes(root_.path()), 512 * kMiB);
}

TEST_F(MemoryLimitTest, IsVersion1sWhereThatIsInUse) {
  root_.Write("proc/self/cgroup", "5:cpu,memory:/docker/abc\n0::/\n");
  root_.Write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "268435456\n");
  root_.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(MemoryLimitBytes(root_.path()), 256 * kMiB);
}

TEST_F(MemoryLimitTest, FindsAContainersLimitAtTheRootOfItsView) {
  root_.Write("proc/self/cgroup", "5:memory:/docker/of-the-host\n");
  root_.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
  EXPECT_EQ(MemoryLimitBytes(root_.path()), 128 * kMiB);
}

TEST_F(MemoryLimitTest, IgnoresNonsense) {
  root_.Write("proc/self/cgroup", "nonsense\n::\n0::/x\n");
  root_.Write("sys/fs/cgroup/x/memory.max", "many\n");
  EXPECT_EQ(MemoryLimitBytes(root_.path()), 8 * kGiB);
  EXPECT_EQ(MemoryLimitBytes(root_.path() / "nowhere"), kGiB);
}

TEST(DefaultPathsTest, FollowWhoAsks) {
  FakeEnvironment env;
  EXPECT_EQ(*DefaultCacheDirectory(env), "/home/tester/.cache/modelfs");
  EXPECT_EQ(RuntimeDirectory(env), "/tmp/modelfs-1000");
  env.Set("XDG_CACHE_HOME", "/fast");
  env.Set("XDG_RUNTIME_DIR", "/run/user/1000");
  EXPECT_EQ(*DefaultCacheDirectory(env), "/fast/modelfs");
  EXPECT_EQ(RuntimeDirectory(env), "/run/user/1000/modelfs");
  env.SetUid(0);
  EXPECT_EQ(*DefaultCacheDirectory(env), "/var/cache/modelfs");
  EXPECT_EQ(RuntimeDirectory(env), "/run/modelfs");
}

TEST(DefaultPathsTest, NeedAHome) {
  FakeEnvironment env;
  env.SetHome("");
  ASSERT_FALSE(DefaultCacheDirectory(env));
  EXPECT_NE(DefaultCacheDirectory(env).error().what.find("--cache"), std::string::npos);
}

TEST(DefaultPathsTest, OneSocketHoweverTheCacheIsWritten) {
  const TempDir temp;
  FakeEnvironment env;
  env.Set("XDG_RUNTIME_DIR", temp.path().string());
  std::filesystem::create_directories(temp.path() / "cache");
  std::filesystem::create_symlink(temp.path() / "cache", temp.path() / "link");
  const auto plain = ControlSocketPath(temp.path() / "cache", env);
  ASSERT_TRUE(plain) << plain.error().what;
  EXPECT_EQ(*plain, *ControlSocketPath(temp.path() / "link", env));
  EXPECT_EQ(*plain, *ControlSocketPath(temp.path() / "cache/", env));
  EXPECT_EQ(*plain, *ControlSocketPath(temp.path() / "x/../cache", env));
  EXPECT_NE(*plain, *ControlSocketPath(temp.path() / "cache2", env));
  EXPECT_EQ(std::filesystem::path(*plain).parent_path(), temp.path() / "modelfs");
}

TEST(DefaultPathsTest, ASocketPathThatIsTooLongIsSaid) {
  FakeEnvironment env;
  env.Set("XDG_RUNTIME_DIR", fmt::format("/{:x>100}", ""));
  ASSERT_FALSE(ControlSocketPath("/c", env));
  EXPECT_EQ(ControlSocketPath("/c", env).error().code, Errc::kInvalid);
}

}  // namespace
}  // namespace modelfs::fs
