#include "fs/csi/volumes.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <future>
#include <sstream>

#include "tests/support/script_fault_points.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

/// Mounts that exist in a table alone.
class FakeMounts final : public VolumeMounts {
 public:
  Result<void> Mount(const Request& request) override {
    if (points.Hit("mount")) return Fail(Errc::kDenied, "GET s3://b: HTTP 403");
    const MutexLock lock(mutex);
    requests.push_back(request);
    mounted[request.path] = 1;
    return {};
  }
  Result<void> Bind(const std::string& from, const std::string& target) override {
    if (missing) return Fail(Errc::kNotFound, "bind: no such file");
    const MutexLock lock(mutex);
    bound_from = from;
    mounted[target] = 1;
    return {};
  }
  Result<void> Unbind(const std::string& target) override { return Drop(target); }
  Result<void> Unmount(const std::string& path) override { return Drop(path); }
  Result<MountTable> Table() override {
    const MutexLock lock(mutex);
    std::string text;
    for (const auto& [path, number] : mounted) {
      text +=
          fmt::format("{} 1 0:{} / {} ro - fuse.modelfs modelfs ro\n", 30 + number, number, path);
    }
    return MountTable::Parse(text);
  }
  Result<void> Drop(const std::string& path) {
    const MutexLock lock(mutex);
    mounted.erase(path);
    return {};
  }

  test::ScriptFaultPoints points;
  bool missing = false;
  Mutex mutex;
  std::map<std::string, int> mounted;
  std::vector<Request> requests;
  std::string bound_from;
};

class VolumesTest : public ::testing::Test {
 protected:
  VolumesTest() { EXPECT_TRUE(files_.Prepare()); }

  std::string Target(const std::string& pod) {
    const auto folder = dir_.path() / "pods" / pod;
    std::filesystem::create_directories(folder);
    return (folder / "mount").string();
  }
  Volumes::Request Asked(const std::string& volume, const std::string& pod) {
    return {.volume_id = volume,
            .target = Target(pod),
            .attributes = {{"source", "s3://b/p"}, {"csi.storage.k8s.io/pod.namespace", "n"}},
            .secrets = {{"access_key_id", "K"}, {"secret_access_key", "old-key"}}};
  }
  static std::string ReadAll(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  /// Nothing is left of any volume.
  void ExpectNothing() {
    EXPECT_TRUE(mounts_.mounted.empty());
    for (const char* folder : {"volumes", "logins"}) {
      EXPECT_TRUE(std::filesystem::is_empty(dir_.path() / "state" / folder)) << folder;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path() / "pods")) {
      EXPECT_NE(entry.path().filename(), "mount");
    }
  }

  test::TempDir dir_;
  VolumeFiles files_{dir_.path() / "state"};
  FakeMounts mounts_;
  Volumes volumes_{
      {.cache_root = "/cache", .mount_arguments = {"--memory", "64MiB"}}, files_, mounts_};
};

TEST_F(VolumesTest, IsMountedBoundAndTakenAway) {
  const auto asked = Asked("v", "p");
  ASSERT_TRUE(volumes_.Publish(asked));
  ASSERT_EQ(mounts_.requests.size(), 1u);
  const auto& mount = mounts_.requests[0];
  EXPECT_EQ(mounts_.bound_from, mount.path + "/volume");
  EXPECT_THAT(mount.arguments, Contains("volume=s3://b/p"));
  EXPECT_THAT(mount.arguments, Contains("64MiB"));
  EXPECT_THAT(fmt::format("{}", fmt::join(mount.arguments, " ")),
              ::testing::Not(HasSubstr("old-key")));
  EXPECT_TRUE(mounts_.mounted.contains(asked.target));
  EXPECT_EQ(volumes_.counts().volumes, 1u);
  ASSERT_TRUE(volumes_.Unpublish("v", asked.target));
  ExpectNothing();
  ASSERT_TRUE(volumes_.Unpublish("v", asked.target)) << "again";
  ASSERT_TRUE(volumes_.Unpublish("other", Target("q"))) << "what was never there";
}

TEST_F(VolumesTest, SecretsLieInFilesThatAreOursAlone) {
  ASSERT_TRUE(volumes_.Publish(Asked("v", "p")));
  const auto record = files_.Load()->at(0).record;
  ASSERT_TRUE(record);
  const std::string path = files_.LoginFile(record->domain, "aws");
  EXPECT_THAT(ReadAll(path), HasSubstr("aws_secret_access_key = old-key"));
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(VolumesTest, AgainTakesOverNewSecretsAndMountsNothing) {
  auto asked = Asked("v", "p");
  ASSERT_TRUE(volumes_.Publish(asked));
  asked.secrets["secret_access_key"] = "new-key";
  ASSERT_TRUE(volumes_.Publish(asked));
  EXPECT_EQ(mounts_.requests.size(), 1u);
  EXPECT_EQ(volumes_.counts().republished, 1u);
  EXPECT_THAT(ReadAll(files_.LoginFile(files_.Load()->at(0).record->domain, "aws")),
              HasSubstr("new-key"));
}

TEST_F(VolumesTest, AgainButOtherwise) {
  auto asked = Asked("v", "p");
  asked.one_place = true;
  ASSERT_TRUE(volumes_.Publish(asked));
  const auto code = [&](const Volumes::Request& request, const char* named) {
    const auto done = volumes_.Publish(request);
    EXPECT_FALSE(done);
    if (done) return CsiCode::kInternal;
    EXPECT_THAT(done.error().what, HasSubstr(named));
    return done.error().code;
  };
  auto other = asked;
  other.attributes["source"] = "s3://c";
  EXPECT_EQ(code(other, "'source'"), CsiCode::kAlreadyExists);
  auto elsewhere = asked;
  elsewhere.target = Target("q");
  EXPECT_EQ(code(elsewhere, asked.target.c_str()), CsiCode::kFailedPrecondition);
  auto mode = asked;
  mode.one_place = false;
  EXPECT_EQ(code(mode, "access_mode"), CsiCode::kAlreadyExists);
  auto another = asked;
  another.volume_id = "w";
  EXPECT_EQ(code(another, "is volume v"), CsiCode::kAlreadyExists);
}

TEST_F(VolumesTest, ManyPlacesWhereTheModeAllowsIt) {
  ASSERT_TRUE(volumes_.Publish(Asked("v", "p")));
  ASSERT_TRUE(volumes_.Publish(Asked("v", "q")));
  EXPECT_EQ(volumes_.counts().volumes, 2u);
  ASSERT_TRUE(volumes_.Unpublish("v", Target("p")));
  EXPECT_FALSE(std::filesystem::is_empty(dir_.path() / "state" / "logins")) << "still in use";
  ASSERT_TRUE(volumes_.Unpublish("v", Target("q")));
  ExpectNothing();
}

TEST_F(VolumesTest, WhatFailedLeavesNothing) {
  mounts_.points.FailNext("mount", {Errc::kIo, "test"}, 0);
  const auto denied = volumes_.Publish(Asked("v", "p"));
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, CsiCode::kPermissionDenied);
  ExpectNothing();
  mounts_.points.Heal("mount");
  mounts_.missing = true;
  auto asked = Asked("v", "p");
  asked.attributes = {{"source", "mlflow:http://m"}, {"model", "iris"}, {"version", "9"}};
  const auto absent = volumes_.Publish(asked);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, CsiCode::kNotFound);
  EXPECT_THAT(absent.error().what, HasSubstr("'version'"));
  ExpectNothing();
}

TEST_F(VolumesTest, OfTwoCallsForOneVolumeTheSecondIsToldSo) {
  mounts_.points.Block("mount");
  auto first = std::async(std::launch::async, [&] { return volumes_.Publish(Asked("v", "p")); });
  ASSERT_TRUE(mounts_.points.AwaitHits("mount", 1));
  EXPECT_EQ(volumes_.Publish(Asked("v", "p")).error().code, CsiCode::kAborted);
  EXPECT_EQ(volumes_.Unpublish("v", Target("p")).error().code, CsiCode::kAborted);
  volumes_.Recover();  // Leaves it alone.
  mounts_.points.Unblock("mount");
  EXPECT_TRUE(first.get());
  EXPECT_EQ(volumes_.counts().volumes, 1u);
}

TEST_F(VolumesTest, WhatADriverLeftHalfDoneIsTakenBack) {
  ASSERT_TRUE(volumes_.Publish(Asked("whole", "p")));
  ASSERT_TRUE(volumes_.Publish(Asked("half", "q")));
  ASSERT_TRUE(mounts_.Drop(Target("q")));  // Killed before it was bound.
  std::filesystem::create_directories(dir_.path() / "state" / "volumes" / "unknown" / "mnt");
  mounts_.mounted[files_.MountPath("unknown")] = 1;

  Volumes again({.cache_root = "/cache"}, files_, mounts_);
  again.Recover();
  EXPECT_EQ(again.counts().recovered, 2u);
  EXPECT_EQ(again.counts().volumes, 1u);
  EXPECT_TRUE(mounts_.mounted.contains(Target("p")));
  EXPECT_EQ(mounts_.mounted.size(), 2u);
  ASSERT_TRUE(again.Unpublish("whole", Target("p"))) << "it knows from the disk";
  ExpectNothing();
}

TEST_F(VolumesTest, LooksOnlyAtWhatIsThere) {
  const auto asked = Asked("v", "p");
  EXPECT_EQ(volumes_.Look("v", asked.target).error().code, CsiCode::kNotFound);
  ASSERT_TRUE(volumes_.Publish(asked));
  EXPECT_EQ(volumes_.Look("v", Target("q")).error().code, CsiCode::kNotFound);
  const auto condition = volumes_.Look("v", asked.target);
  ASSERT_TRUE(condition);
  EXPECT_THAT(condition->problem, HasSubstr("does not answer"));
}

}  // namespace
}  // namespace modelfs::fs
