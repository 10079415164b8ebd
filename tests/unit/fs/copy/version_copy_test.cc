#include "fs/copy/version_copy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "index/crc.h"
#include "tests/support/fake_origin.h"
#include "tests/support/faulty_origin.h"
#include "tests/support/temp_dir.h"

namespace modelfs::fs {
namespace {

namespace stdfs = std::filesystem;
using test::FakeOrigin;
using test::FaultyOrigin;
using test::MakeBytes;
using test::OriginFault;

constexpr std::uint64_t kPiece = 1000;

class VersionCopyTest : public testing::Test {
 protected:
  VersionCopyTest() {
    stdfs::create_directory(parent_);
    Put("a/big", 4567);
    Put("a/small", 10);
    Put("empty", 0);
    Put("even", 2 * kPiece);
  }

  void Put(const std::string& path, std::size_t size) {
    content_[path] = MakeBytes(size + 1, size);
    list_.files.push_back({.path = path, .object = origin_->Put(path, content_[path])});
  }
  Result<Staging> Open() const { return Staging::Open(parent_, "1", list_.Identity()); }

  Result<VersionCopy::Count> Copy(std::shared_ptr<fetch::Origin> origin) const {
    const auto staging = Open();
    if (!staging) return std::unexpected(staging.error());
    VersionCopy copy({.origin = std::move(origin),
                      .registry = nullptr,
                      .list = &list_,
                      .staging = &*staging,
                      .piece_bytes = kPiece,
                      .at_once = 4,
                      .threads = 2});
    return copy.Run();
  }
  Result<VersionCopy::Count> Copy() const { return Copy(origin_); }

  stdfs::path At(const std::string& path) const {
    return stdfs::path(Staging::Path(parent_, "1")) / "files" / path;
  }
  void ExpectRight() const {
    for (const auto& [path, bytes] : content_) {
      std::ifstream file(At(path), std::ios::binary);
      const std::string got{std::istreambuf_iterator<char>(file), {}};
      ASSERT_TRUE(file.good() || file.eof()) << path;
      EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(got)), bytes)) << path;
    }
  }
  void PublishCrc(const std::string& path) {
    const auto& bytes = content_[path];
    const std::uint64_t crc = index::Crc::Of(fetch::ChecksumKind::kCrc64Nvme, bytes);
    std::string value;
    for (int shift = 56; shift >= 0; shift -= 8) value.push_back(static_cast<char>(crc >> shift));
    origin_->Publish(
        path,
        {{.kind = fetch::ChecksumKind::kCrc64Nvme, .range = {0, bytes.size()}, .value = value}});
  }
  /// Publishes the checksum of `path`, and flips a bit in its next `times` deliveries.
  void ServeWrongly(const std::string& path, int times) {
    PublishCrc(path);
    auto wrong = content_[path];
    wrong[1234] ^= std::byte{1};
    origin_->Corrupt(path, wrong, times);
  }

  test::TempDir dir_;
  const std::string parent_ = dir_.path() / "m";
  const std::shared_ptr<FakeOrigin> origin_ = std::make_shared<FakeOrigin>();
  std::map<std::string, std::vector<std::byte>> content_;
  CopyList list_{.subject = {.model = "m", .number = 1}, .files = {}};
};

TEST_F(VersionCopyTest, CopiesAllFilesInPieces) {
  const auto count = Copy();
  ASSERT_TRUE(count) << count.error().what;
  EXPECT_EQ(count->files_done, 4);
  EXPECT_EQ(count->bytes_done, list_.bytes());
  EXPECT_EQ(count->bytes_fetched, list_.bytes());
  EXPECT_EQ(origin_->bytes_asked(), list_.bytes());
  EXPECT_EQ(origin_->requests().size(), 5 + 1 + 2);
  ExpectRight();
}

TEST_F(VersionCopyTest, ASecondRunReadsBackAndFetchesNothing) {
  ASSERT_TRUE(Copy());
  const auto count = Copy();
  ASSERT_TRUE(count) << count.error().what;
  EXPECT_EQ(count->bytes_fetched, 0);
  EXPECT_EQ(origin_->bytes_asked(), list_.bytes());
  ExpectRight();
}

TEST_F(VersionCopyTest, FetchesAgainOnlyThePieceThatWasDamaged) {
  ASSERT_TRUE(Copy());
  {
    std::fstream file(At("a/big"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(2 * kPiece + 5);
    file.put(static_cast<char>(~std::to_integer<int>(content_["a/big"][2 * kPiece + 5])));
  }
  const auto count = Copy();
  ASSERT_TRUE(count) << count.error().what;
  EXPECT_EQ(count->bytes_fetched, kPiece);
  ExpectRight();
}

TEST_F(VersionCopyTest, KeepsWhatCameBeforeAFailure) {
  const auto faulty = std::make_shared<FaultyOrigin>(
      origin_, std::vector{OriginFault::kNone, OriginFault::kNone, OriginFault::kFail});
  const auto failed = Copy(faulty);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::kTransient);
  const auto count = Copy();
  ASSERT_TRUE(count) << count.error().what;
  EXPECT_LE(count->bytes_fetched, list_.bytes() - 2 * kPiece);
  ExpectRight();
}

TEST_F(VersionCopyTest, AFailureEndsWhatStillHangs) {
  auto faulty =
      std::make_shared<FaultyOrigin>(origin_, std::vector{OriginFault::kHang, OriginFault::kFail});
  const auto failed = Copy(std::move(faulty));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::kTransient);
}

TEST_F(VersionCopyTest, AShortBodyIsNoPiece) {
  const auto faulty = std::make_shared<FaultyOrigin>(origin_, std::vector{OriginFault::kShortBody});
  const auto failed = Copy(faulty);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::kCorrupt);
}

TEST_F(VersionCopyTest, ReadsAsStreamsWhatComesOnlyWhole) {
  for (const auto how : {FakeOrigin::Streams::kAnnounced, FakeOrigin::Streams::kUnannounced}) {
    origin_->OnlyStreams(how);
    const auto count = Copy();
    ASSERT_TRUE(count) << count.error().what;
    EXPECT_EQ(count->bytes_done, list_.bytes());
    ExpectRight();
    Staging::Remove(parent_, "1");
  }
}

TEST_F(VersionCopyTest, AStreamThatFailsFailsTheCopy) {
  origin_->OnlyStreams(FakeOrigin::Streams::kAnnounced);
  const auto faulty = std::make_shared<FaultyOrigin>(origin_, std::vector{OriginFault::kFailHalf});
  ASSERT_FALSE(Copy(faulty));
  const auto short_one =
      std::make_shared<FaultyOrigin>(origin_, std::vector(4, OriginFault::kShortBody));
  ASSERT_FALSE(Copy(short_one));
  ASSERT_TRUE(Copy());
  ExpectRight();
}

TEST_F(VersionCopyTest, FetchesAgainWhatDoesNotMatchItsPublishedChecksum) {
  ServeWrongly("a/big", 1);
  const auto count = Copy();
  ASSERT_TRUE(count) << count.error().what;
  ExpectRight();
}

TEST_F(VersionCopyTest, GivesUpWhenItNeverMatches) {
  ServeWrongly("a/big", 100);
  const auto failed = Copy();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::kCorrupt);
  EXPECT_NE(failed.error().what.find("a/big"), std::string::npos) << failed.error().what;
}

}  // namespace
}  // namespace modelfs::fs
