#include "index/local_tier.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "index/cache.h"
#include "tests/support/temp_dir.h"

namespace modelfs::index {
namespace {

constexpr std::uint64_t kChunk = 256 << 10;

class LocalTierTest : public ::testing::Test {
 protected:
  static fetch::ObjectId Id(const std::string& key) {
    return {.domain = "d", .source = "s", .key = key, .tag = "t", .size_bytes = 10 * kChunk};
  }
  Result<LocalTier> Open(const std::filesystem::path& path) {
    return LocalTier::Open(path, kChunk, LocalTier::DirectWrites::kWhereItWorks);
  }
  test::TempDir dir_;
};

TEST_F(LocalTierTest, MakesParentsWithAPrivateMode) {
  ASSERT_TRUE(Open(dir_.path() / "a" / "b"));
  struct stat info{};
  ASSERT_EQ(::stat((dir_.path() / "a" / "b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  EXPECT_TRUE(std::filesystem::exists(dir_.path() / "a" / "b" / "FORMAT"));
}

TEST_F(LocalTierTest, MakesSparseFilesOfTheObjectsSize) {
  auto tier = Open(dir_.path());
  ASSERT_TRUE(tier);
  EXPECT_EQ(tier->OpenObject(Id("k")).error().code, Errc::kNotFound);
  auto files = tier->CreateObject(Id("k"));
  ASSERT_TRUE(files) << files.error().what;
  struct stat info{};
  ASSERT_EQ(::fstat(files->data.get(), &info), 0);
  EXPECT_EQ(static_cast<std::uint64_t>(info.st_size), 10 * kChunk);
  EXPECT_EQ(info.st_blocks, 0);
  EXPECT_TRUE(tier->OpenObject(Id("k")));
}

TEST_F(LocalTierTest, FindsEveryObjectAndWhatOnlyLooksLikeOne) {
  auto tier = Open(dir_.path());
  ASSERT_TRUE(tier);
  ASSERT_TRUE(tier->CreateObject(Id("a")));
  ASSERT_TRUE(tier->CreateObject(Id("b")));
  std::filesystem::create_directories(dir_.path() / "objects" / "zz" / "stray");
  std::ofstream(dir_.path() / "objects" / "zz" / "stray" / "map") << "no map";
  std::ofstream(dir_.path() / "objects" / "file") << "x";
  std::vector<std::string> keys;
  tier->ForEachObject([&](const std::string& digest) {
    const auto map = tier->OpenMap(digest);
    keys.push_back(map ? map->header().id.key : digest);
  });
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "stray"}));
}

TEST_F(LocalTierTest, AFormatThatCannotBeReadIsNotWrittenOver) {
  std::filesystem::create_directories(dir_.path() / "FORMAT");  // EISDIR.
  auto tier = Open(dir_.path());
  ASSERT_FALSE(tier);
  EXPECT_NE(tier.error().what.find("read FORMAT"), std::string::npos) << tier.error().what;
  EXPECT_TRUE(std::filesystem::is_directory(dir_.path() / "FORMAT"));
}

TEST_F(LocalTierTest, DataWithoutItsMapIsNotWrittenOver) {
  auto tier = Open(dir_.path());
  ASSERT_TRUE(tier);
  auto first = tier->CreateObject(Id("k"));
  ASSERT_TRUE(first);
  const std::string digest = Id("k").Digest();
  std::filesystem::remove(dir_.path() / "objects" / digest.substr(0, 2) / digest / "map");
  auto second = tier->CreateObject(Id("k"));
  ASSERT_TRUE(second);
  struct stat a{};
  struct stat b{};
  ASSERT_EQ(::fstat(first->data.get(), &a), 0);
  ASSERT_EQ(::fstat(second->data.get(), &b), 0);
  EXPECT_NE(a.st_ino, b.st_ino);
}

TEST_F(LocalTierTest, UnusableDirectoriesAreNamedWithTheMend) {
  auto denied = Open("/proc/self/modelfs");
  ASSERT_FALSE(denied);
  EXPECT_NE(denied.error().what.find("/proc/self/modelfs"), std::string::npos);
  EXPECT_NE(denied.error().what.find("--cache"), std::string::npos);
  std::ofstream(dir_.path() / "file") << "x";
  EXPECT_FALSE(Open(dir_.path() / "file"));
  EXPECT_FALSE(Open(dir_.path() / "file" / "below"));
}

TEST_F(LocalTierTest, StrangeFormatFilesAreRefused) {
  std::ofstream(dir_.path() / "FORMAT") << "something else\n";
  EXPECT_EQ(Open(dir_.path()).error().code, Errc::kInvalid);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "objects"));
}

TEST_F(LocalTierTest, BadChunkSizesAreInvalid) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{128 << 10},
                                   std::uint64_t{32 << 20}, kChunk + 1}) {
    EXPECT_EQ(LocalTier::Open(dir_.path() / "x", size, LocalTier::DirectWrites::kOff).error().code,
              Errc::kInvalid);
  }
}

}  // namespace
}  // namespace modelfs::index
