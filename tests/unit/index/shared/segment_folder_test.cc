#include "index/shared/segment_folder.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "index/shared/dir_files.h"
#include "tests/support/fake_origin.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/index/shared/faulty_files.h"

namespace modelfs::test {
namespace {

using namespace index::shared;

constexpr std::uint32_t kBlock = 4096;
constexpr std::uint64_t kSegment = 1u << 20;
constexpr std::uint64_t kSize = 3 * kSegment + 5000;

/// What filesystems do, or fail to.
struct Behaviour {
  const char* name;
  FaultyFiles::Script script;
};

/// What holds of the folder of an object on whatever filesystem.
class SegmentFolderTest : public ::testing::TestWithParam<Behaviour> {
 protected:
  SegmentFolderTest()
      : files_(std::make_shared<FaultyFiles>(std::make_shared<DirFiles>(dir_.path()),
                                             GetParam().script)) {}

  static fetch::ObjectId Id() {
    return {.domain = "d0", .source = "s3://b", .key = "k", .tag = "\"1\"", .size_bytes = kSize};
  }
  SegmentFolder Folder(const std::string& instance = "a1") {
    return {files_, Id(), SegmentLayout(kSize, kSegment), instance};
  }
  /// Publishes a segment of the object whose bytes are `all`.
  Result<Placed> Publish(const SegmentFolder& folder, std::uint64_t index,
                         const std::vector<std::byte>& all) {
    const ByteRange range = folder.layout().RangeOf(index);
    auto writer = folder.New(index, kBlock);
    if (!writer) return std::unexpected(writer.error());
    for (std::uint64_t at = range.begin; at < range.end; at += kBlock) {
      const auto bytes =
          std::span(all).subspan(at, std::min<std::uint64_t>(kBlock, range.end - at));
      if (auto written = (*writer)->WriteBlock((at - range.begin) / kBlock, bytes); !written) {
        return std::unexpected(written.error());
      }
    }
    return (*writer)->Publish();
  }
  static Result<std::vector<std::byte>> ReadAll(const SegmentFolder& folder, std::uint64_t index) {
    auto open = folder.Open(index);
    if (!open) return std::unexpected(open.error());
    std::vector<std::byte> bytes(folder.layout().RangeOf(index).size());
    for (std::size_t at = 0; at < bytes.size(); at += kBlock) {
      const std::size_t size = std::min<std::size_t>(kBlock, bytes.size() - at);
      if (auto read = (*open)->ReadBlock(at / kBlock, std::span(bytes).subspan(at, size)); !read) {
        return std::unexpected(read.error());
      }
    }
    return bytes;
  }

  TempDir dir_;
  std::shared_ptr<FaultyFiles> files_;
  std::vector<std::byte> bytes_ = MakeBytes(1, kSize);
};

TEST_P(SegmentFolderTest, WhatWasPublishedIsReadBack) {
  const auto folder = Folder();
  ASSERT_TRUE(folder.Prepare());
  for (std::uint64_t index = 0; index < folder.layout().count(); ++index) {
    ASSERT_FALSE(folder.Has(index).value());
    const auto placed = Publish(folder, index, bytes_);
    ASSERT_TRUE(placed) << placed.error().what;
    EXPECT_TRUE(folder.Has(index).value());
  }
  const auto other = Folder("b2");
  EXPECT_EQ(other.List()->segments.size(), folder.layout().count());
  for (std::uint64_t index = 0; index < folder.layout().count(); ++index) {
    const ByteRange range = folder.layout().RangeOf(index);
    const auto read = ReadAll(other, index);
    ASSERT_TRUE(read) << read.error().what;
    EXPECT_TRUE(std::equal(read->begin(), read->end(), bytes_.begin() + range.begin));
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path() / "t"));
}

TEST_P(SegmentFolderTest, NothingIsThereBeforeItWasPublished) {
  const auto folder = Folder();
  EXPECT_EQ(folder.Stamp().value(), 0);
  EXPECT_TRUE(folder.List()->segments.empty());
  EXPECT_EQ(folder.Open(0).error().code, Errc::kNotFound);
  ASSERT_TRUE(folder.Prepare());
  {
    auto writer = folder.New(0, kBlock);
    ASSERT_TRUE(writer);
    ASSERT_TRUE((*writer)->WriteBlock(0, std::span(bytes_).first(kBlock)));
    EXPECT_EQ(folder.Open(0).error().code, Errc::kNotFound);
  }
  EXPECT_TRUE(folder.List()->segments.empty());
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path() / "t"));
}

TEST_P(SegmentFolderTest, TheFirstOneStaysAndTheSecondIsTold) {
  const auto folder = Folder();
  const auto other = Folder("b2");
  ASSERT_TRUE(folder.Prepare());
  ASSERT_TRUE(Publish(folder, 0, bytes_));
  const auto second = Publish(other, 0, bytes_);
  ASSERT_TRUE(second) << second.error().what;
  EXPECT_TRUE(ReadAll(folder, 0));
}

TEST_P(SegmentFolderTest, OneOfTwoGetsAClaim) {
  const auto folder = Folder();
  const auto other = Folder("b2");
  ASSERT_TRUE(folder.Prepare());
  EXPECT_EQ(folder.Claim(1, 0).value(), Placed::kPlaced);
  EXPECT_EQ(other.Claim(1, 0).value(), Placed::kTaken);
  EXPECT_EQ(other.HolderOf(1, 0)->instance, "a1");
  EXPECT_EQ(other.List()->claims.at(1), 0u);
  // Who takes over makes the next one; the first holder's return harms nobody.
  EXPECT_EQ(other.Claim(1, 1).value(), Placed::kPlaced);
  EXPECT_EQ(folder.List()->claims.at(1), 1u);
  EXPECT_TRUE(folder.Release(1, 0));
  EXPECT_EQ(folder.List()->claims.at(1), 1u);
  EXPECT_TRUE(other.Release(1, 1));
  EXPECT_TRUE(folder.List()->claims.empty());
  EXPECT_FALSE(folder.HolderOf(1, 1));
}

TEST_P(SegmentFolderTest, OtherBytesAreFoundOut) {
  const auto folder = Folder();
  ASSERT_TRUE(folder.Prepare());
  ASSERT_TRUE(Publish(folder, 0, bytes_));
  ASSERT_TRUE(Publish(folder, 1, bytes_));
  const auto path = dir_.path() / folder.path() / "s";
  // Swapped, cut, and one byte of it.
  std::filesystem::rename(path / "1", path / "2");
  EXPECT_EQ(folder.Open(2).error().code, Errc::kCorrupt);
  std::filesystem::resize_file(path / "0", kSegment - 1);
  EXPECT_EQ(folder.Open(0).error().code, Errc::kCorrupt);
  ASSERT_TRUE(folder.Quarantine(0));
  EXPECT_FALSE(folder.Has(0).value());
  ASSERT_TRUE(Publish(folder, 0, bytes_));
  EXPECT_TRUE(ReadAll(folder, 0));
}

TEST_P(SegmentFolderTest, TheStampChangesWithEachSegment) {
  const auto folder = Folder();
  ASSERT_TRUE(folder.Prepare());
  const auto before = folder.Stamp().value();
  ASSERT_TRUE(Publish(folder, 0, bytes_));
  EXPECT_NE(folder.Stamp().value(), before);
}

INSTANTIATE_TEST_SUITE_P(
    Filesystems, SegmentFolderTest,
    ::testing::Values(Behaviour{"Posix", {}}, Behaviour{"NoLinks", {.links = false}},
                      Behaviour{"NeitherLinksNorCarefulRenames",
                                {.links = false, .renames = false}},
                      Behaviour{"LosesAnswersOfLinks", {.lose_answers = true}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace modelfs::test
