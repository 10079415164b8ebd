// Which daemon serves a path.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fs/control/control_server.h"
#include "fs/control/daemon_finder.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fs/fake_daemon_api.h"

namespace modelfs::fs {
namespace {

using test::FakeDaemonApi;

class DaemonFinderTest : public testing::Test {
 protected:
  void Start(const std::string& name, FakeDaemonApi& api) {
    auto server = ControlServer::Start(
        {.socket_path = (run() / name).string(), .api = &api, .peer_uid = nullptr});
    ASSERT_TRUE(server) << server.error().what;
    servers_.push_back(*std::move(server));
  }
  std::filesystem::path run() const { return temp_.path() / "run"; }
  std::vector<std::filesystem::path> directories() const { return {temp_.path() / "none", run()}; }

  test::TempDir temp_;
  std::vector<std::unique_ptr<ControlServer>> servers_;
};

TEST_F(DaemonFinderTest, FindsNobodyWhereNobodyIs) {
  EXPECT_TRUE(FindDaemons(directories()).empty());
  const auto found = FindDaemon(directories(), "/m/x");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Errc::kNotFound);
  EXPECT_NE(found.error().what.find("/m/x"), std::string::npos);
}

TEST_F(DaemonFinderTest, TakesTheNearestMountAboveThePath) {
  FakeDaemonApi outer({"/m"});
  FakeDaemonApi inner({"/other", "/m/deep"});
  Start("a.sock", outer);
  Start("b.sock", inner);
  EXPECT_EQ(FindDaemon(directories(), "/m/x")->mountpoint, "/m");
  EXPECT_EQ(FindDaemon(directories(), "/m")->mountpoint, "/m");
  EXPECT_EQ(FindDaemon(directories(), "/m/deep/x")->mountpoint, "/m/deep");
  EXPECT_EQ(FindDaemon(directories(), "/m/deeper")->mountpoint, "/m");
  EXPECT_EQ(FindDaemon(directories(), "/m/deep/../x/.")->path, "/m/x");
  EXPECT_FALSE(FindDaemon(directories(), "/mm"));
  EXPECT_FALSE(FindDaemon(directories(), "/"));
}

TEST_F(DaemonFinderTest, LooksBehindSymlinks) {
  std::filesystem::create_directories(temp_.path() / "real/mount");
  std::filesystem::create_directory_symlink(temp_.path() / "real", temp_.path() / "link");
  const std::string mountpoint = std::filesystem::canonical(temp_.path() / "real/mount").string();
  FakeDaemonApi api({mountpoint});
  Start("a.sock", api);
  const auto found = FindDaemon(directories(), (temp_.path() / "link/mount/x").string());
  ASSERT_TRUE(found) << found.error().what;
  EXPECT_EQ(found->mountpoint, mountpoint);
  EXPECT_EQ(found->path, mountpoint + "/x");
}

TEST_F(DaemonFinderTest, LeavesOutWhatIsBroken) {
  FakeDaemonApi api({"/m"});
  Start("good.sock", api);
  temp_.Write("run/file.sock", "no socket");
  temp_.Write("run/log.txt", "no socket either");
  const auto daemons = FindDaemons(directories());
  ASSERT_EQ(daemons.size(), 1u);
  EXPECT_EQ(daemons[0].socket_path, (run() / "good.sock").string());
  EXPECT_TRUE(SearchDaemons(directories()).any_silent);
  std::filesystem::remove(run() / "file.sock");
  EXPECT_FALSE(SearchDaemons(directories()).any_silent);
}

TEST_F(DaemonFinderTest, ReadsNonsenseAsNoMounts) {
  for (const char* text : {"{}", R"({"mounts":5})", R"({"mounts":[5,{},{"mountpoint":1}]})"}) {
    EXPECT_TRUE((DaemonInfo{"s", nlohmann::json::parse(text)}.Mountpoints().empty())) << text;
  }
}

}  // namespace
}  // namespace modelfs::fs
