#include "fs/copy/wanted_version.h"

#include <gtest/gtest.h>

#include "fs/copy/copied_version.h"
#include "tests/support/fake_origin.h"
#include "tests/unit/fs/fake_registry.h"

namespace modelfs::fs {
namespace {

class WantedVersionTest : public testing::Test {
 protected:
  WantedVersionTest() {
    registry_.Add("m", 1, {"a"});
    registry_.Add("m", 12, {"a"});
    registry_.Add("other", 3, {"a"});
    registry_.aliases["m"] = {{"champion", 1}, {"gone", 7}};
  }
  std::string Complaint(const std::string& model, const std::string& wanted) {
    const auto found = FindVersion(registry_, model, wanted);
    EXPECT_FALSE(found);
    return found ? "" : found.error().what;
  }
  std::uint64_t Number(const std::string& wanted) {
    const auto found = FindVersion(registry_, "m", wanted);
    EXPECT_TRUE(found) << found.error().what;
    return found ? found->number : 0;
  }

  test::FakeRegistry registry_;
};

TEST_F(WantedVersionTest, FindsNumbersAliasesAndTheLatest) {
  EXPECT_EQ(Number("1"), 1);
  EXPECT_EQ(Number("12"), 12);
  EXPECT_EQ(Number("latest"), 12);
  EXPECT_EQ(Number("@champion"), 1);
}

TEST_F(WantedVersionTest, SaysWhatThereIsInstead) {
  EXPECT_EQ(Complaint("m", "2"), "model 'm' has no version '2'; there are 1, 12, @champion, @gone");
  EXPECT_EQ(Complaint("m", "@gone"),
            "model 'm' has no version '@gone'; there are 1, 12, @champion, @gone");
  EXPECT_EQ(Complaint("x", "1"), "model 'x' is not in the registry; there are m, other");
  EXPECT_EQ(Complaint("other", "latest1"), "model 'other' has no version 'latest1'; there is 3");
}

TEST_F(WantedVersionTest, RefusesAVersionThatIsNotReady) {
  registry_.Add("m", 13, {"a"}, 1'000, false);
  EXPECT_NE(Complaint("m", "13").find("not ready"), std::string::npos);
}

TEST_F(WantedVersionTest, ADeadRegistryIsNoMissingModel) {
  registry_.down = true;
  EXPECT_EQ(Complaint("m", "1"), "the registry is down");
}

TEST_F(WantedVersionTest, ListsWhatAMountWouldShow) {
  // A file and a folder of one name, a name that no file may have, and that of our record.
  registry_.Add("m", 1, {"../up", ".modelfs-copy", "a", "a/b", "line\nend", std::string(300, 'x')});
  const auto manifest = std::make_shared<const fetch::VersionManifest>(registry_.versions["m"][1]);
  const CopyList list = ListForCopy(VersionFiles(manifest, std::make_shared<test::FakeOrigin>()));
  std::vector<std::string> paths;
  for (const CopyFile& file : list.files) paths.push_back(file.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"%2E%2E/up", "a/b", "line%0Aend"}));
}

}  // namespace
}  // namespace modelfs::fs
