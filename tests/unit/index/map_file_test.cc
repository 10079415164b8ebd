#include "index/map_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "tests/support/temp_dir.h"

namespace modelfs::index {
namespace {

class MapFileTest : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kChunk = 256 << 10;

  MapFileTest() {
    id_ = {.domain = "d",
           .source = "s3://b@h",
           .key = std::string("k\0\xff", 3),
           .tag = "\"e\"",
           .size_bytes = 10 * kChunk};
    auto made = MapFile::Create(path_, id_, kChunk);
    EXPECT_TRUE(made) << made.error().what;
    map_.emplace(std::move(*made));
  }

  void Put(std::uint64_t index, const MapFile::EncodedRecord& record) {
    ASSERT_EQ(::pwrite(map_->fd(), record.data(), record.size(),
                       static_cast<off_t>(map_->OffsetOf(index))),
              static_cast<ssize_t>(record.size()));
  }
  MapFile::EncodedRecord Record(std::uint64_t index) const {
    return map_->Encode(index, {.xxh3 = 100 + index, .flags = MapRecord::kPresent, .boot_hash = 5});
  }
  static std::map<std::uint64_t, std::uint64_t> All(const MapFile& map) {
    std::map<std::uint64_t, std::uint64_t> all;
    EXPECT_TRUE(map.ReadAll([&](std::uint64_t index, const MapRecord& r) { all[index] = r.xxh3; }));
    return all;
  }
  void Flip(std::uint64_t offset) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int c = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(c ^ 1));
  }

  test::TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "map";
  fetch::ObjectId id_;
  std::optional<MapFile> map_;
};

TEST_F(MapFileTest, KeepsIdentityAndRecords) {
  Put(0, Record(0));
  Put(9, Record(9));
  auto opened = MapFile::Open(path_);
  ASSERT_TRUE(opened) << opened.error().what;
  EXPECT_EQ(opened->header().id, id_);
  EXPECT_EQ(opened->header().chunk_size_bytes, kChunk);
  EXPECT_EQ(All(*opened), (std::map<std::uint64_t, std::uint64_t>{{0, 100}, {9, 109}}));
}

TEST_F(MapFileTest, TornRecordReadsAsAbsent) {
  Put(3, Record(3));
  const auto whole = Record(4);
  ASSERT_EQ(::pwrite(map_->fd(), whole.data(), 40, static_cast<off_t>(map_->OffsetOf(4))), 40);
  EXPECT_EQ(All(*map_).size(), 1u);
}

TEST_F(MapFileTest, RecordInTheWrongPlaceReadsAsAbsent) {
  Put(3, Record(4));
  EXPECT_TRUE(All(*map_).empty());
}

TEST_F(MapFileTest, RecordOfAnotherObjectReadsAsAbsent) {
  auto other_id = id_;
  other_id.tag = "\"f\"";
  auto other = MapFile::Create(dir_.path() / "other", other_id, kChunk);
  ASSERT_TRUE(other);
  Put(3, other->Encode(3, {.xxh3 = 1, .flags = MapRecord::kPresent}));
  EXPECT_TRUE(All(*map_).empty());
}

TEST_F(MapFileTest, EveryFlippedByteOfARecordIsFound) {
  Put(2, Record(2));
  for (std::size_t i = 0; i < MapFile::kRecordSize; ++i) {
    Flip(map_->OffsetOf(2) + i);
    EXPECT_TRUE(All(*map_).empty()) << "byte " << i;
    Flip(map_->OffsetOf(2) + i);
  }
  EXPECT_EQ(All(*map_).size(), 1u);
}

TEST_F(MapFileTest, EveryFlippedByteOfTheHeaderIsFound) {
  for (std::size_t i = 0; i < 4096; i += i < 256 ? 1 : 97) {
    Flip(i);
    EXPECT_EQ(MapFile::Open(path_).error().code, Errc::kCorrupt) << "byte " << i;
    Flip(i);
  }
  EXPECT_TRUE(MapFile::Open(path_));
}

TEST_F(MapFileTest, CutFileKeepsWhatIsLeft) {
  Put(0, Record(0));
  Put(9, Record(9));
  std::filesystem::resize_file(path_, map_->OffsetOf(9) + 10);
  auto opened = MapFile::Open(path_);
  ASSERT_TRUE(opened);
  EXPECT_EQ(All(*opened).size(), 1u);
  std::filesystem::resize_file(path_, 100);
  EXPECT_EQ(MapFile::Open(path_).error().code, Errc::kCorrupt);
}

TEST_F(MapFileTest, LongIdentityGetsALargerHeader) {
  auto id = id_;
  id.key = std::string(10'000, 'k');
  auto made = MapFile::Create(dir_.path() / "long", id, kChunk);
  ASSERT_TRUE(made);
  auto opened = MapFile::Open(dir_.path() / "long");
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->header().id, id);
  EXPECT_EQ(opened->OffsetOf(0) % 4096, 0u);
}

TEST_F(MapFileTest, MissingIsNotFound) {
  EXPECT_EQ(MapFile::Open(dir_.path() / "none").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace modelfs::index
