#include <gtest/gtest.h>

#include <charconv>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/unit/index/cache_fixture.h"
#include "tests/unit/index/format_1_fixture.h"

namespace modelfs::test {
namespace {

/// Directories that another version of the program made.
class FormatTest : public CacheFixture {
 protected:
  void SetUp() override {
    for (const FixtureFile& file : Format1Files()) {
      std::string content(file.size, '\0');
      for (const FixtureRun& run : file.runs) {
        for (std::size_t i = 0; i * 2 < run.hex.size(); ++i) {
          unsigned byte = 0;
          const char* digits = run.hex.data() + i * 2;
          std::from_chars(digits, digits + 2, byte, 16);
          content[run.offset + i] = static_cast<char>(byte);
        }
      }
      dir_.Write("cache/" + std::string(file.path), content);
    }
    id_ = origin_->Put("model.bin", MakeBytes(41, 1000));
  }
  std::string Format() const {
    std::ifstream file(dir_.path() / "cache" / "FORMAT");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void ExpectKept() {
    const auto found = cache_->Find(id_);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->whole);
    EXPECT_EQ(Read(Get("model.bin"), 0, 1000).value(), MakeBytes(41, 1000));
    EXPECT_EQ(origin_->bytes_asked(), 0u);
    EXPECT_GE(cache_->Stats().allocated_bytes, 4096u);
  }
  fetch::ObjectId id_;
};

TEST_F(FormatTest, TheOneBeforeIsReadAndRaised) {
  ASSERT_EQ(Format(), "modelfs-cache 1\nchunk_size 262144\n");
  OpenCache();
  EXPECT_EQ(Format(), "modelfs-cache 2\nchunk_size 262144\n");
  EXPECT_EQ(cache_->Find(id_)->verified, index::Verified::kSelf);
  ExpectKept();
  OpenCache();
  ExpectKept();
}

TEST_F(FormatTest, WithoutItsIndexToo) {
  std::filesystem::remove_all(dir_.path() / "cache" / "index");
  OpenCache();
  ExpectKept();
}

TEST_F(FormatTest, AnUnknownOneIsLeftAlone) {
  for (const char* number : {"0", "3", "4000000000"}) {
    const std::string version = number;
    const std::string text = "modelfs-cache " + version + "\nchunk_size 262144\n";
    dir_.Write("cache/FORMAT", text);
    auto cache = index::Cache::Open(MakeOptions());
    ASSERT_FALSE(cache);
    EXPECT_EQ(cache.error().code, Errc::kInvalid);
    EXPECT_NE(cache.error().what.find("format " + version), std::string::npos);
    EXPECT_EQ(Format(), text);
  }
}

TEST_F(FormatTest, OneThatWasCutIsLeftAlone) {
  const std::string whole = "modelfs-cache 2\nchunk_size 262144\n";
  // Cut within the number it names chunks of 2 bytes, for one.
  for (std::size_t length = 1; length < whole.size() - 1; ++length) {
    const std::string text = whole.substr(0, length);
    dir_.Write("cache/FORMAT", text);
    auto cache = index::Cache::Open(MakeOptions());
    ASSERT_FALSE(cache) << text;
    EXPECT_EQ(cache.error().code, Errc::kInvalid);
    EXPECT_NE(cache.error().what.find("FORMAT"), std::string::npos) << cache.error().what;
    EXPECT_EQ(Format(), text);
  }
}

}  // namespace
}  // namespace modelfs::test
