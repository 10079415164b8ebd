#include "index/layout/zip_layout.h"

#include <gtest/gtest.h>

#include "tests/unit/index/layout/layout_walk.h"

namespace modelfs::index {
namespace {

using test::Little;
using U16 = std::uint16_t;
using U32 = std::uint32_t;
using U64 = std::uint64_t;

/// An archive in pieces: entries at any offsets, a directory, an end.
struct Zip {
  struct Entry {
    U64 offset = 0;
    U64 size_bytes = 0;
    bool wide = false;  ///< Says its size and offset in 64 bits.
    std::string name = "archive/data/0";
  };
  std::vector<Entry> entries;
  U64 directory_begin = 0;
  bool wide_end = false;
  std::string comment;

  std::string Directory() const {
    std::string out;
    for (const Entry& entry : entries) {
      std::string extra = "FB" + Little<U16>(2) + "ZZ";
      if (entry.wide) {
        extra += Little<U16>(1) + Little<U16>(24) + Little(entry.size_bytes) +
                 Little(entry.size_bytes) + Little(entry.offset);
      }
      const U32 size = entry.wide ? ~U32{0} : static_cast<U32>(entry.size_bytes);
      const U32 offset = entry.wide ? ~U32{0} : static_cast<U32>(entry.offset);
      out += "PK\1\2" + std::string(16, '\0') + Little(size) + Little(size) +
             Little(static_cast<U16>(entry.name.size())) + Little(static_cast<U16>(extra.size())) +
             Little<U16>(3) + std::string(8, '\0') + Little(offset) + entry.name + extra + "say";
    }
    return out;
  }
  std::string End(U64 directory_bytes) const {
    const U64 count = entries.size();
    std::string out;
    if (wide_end) {
      const U64 record = directory_begin + directory_bytes;
      out += "PK\6\6" + Little<U64>(44) + std::string(12, '\0') + Little(count) + Little(count) +
             Little(directory_bytes) + Little(directory_begin);
      out += std::string("PK\6\7") + Little<U32>(0) + Little(record) + Little<U32>(1);
    }
    const auto narrow = [&](U64 value) { return wide_end ? ~U32{0} : static_cast<U32>(value); };
    out += "PK\5\6" + Little<U32>(0) + Little(static_cast<U16>(narrow(count))) +
           Little(static_cast<U16>(narrow(count))) + Little(narrow(directory_bytes)) +
           Little(narrow(directory_begin)) + Little(static_cast<U16>(comment.size())) + comment;
    return out;
  }
  test::SparseFile File(std::string directory, const std::string& end) const {
    test::SparseFile file(directory_begin + directory.size() + end.size());
    file.Put(0, "PK\3\4");
    file.Put(directory_begin, std::move(directory) + end);
    return file;
  }
  test::SparseFile File() const { return File(Directory(), End(Directory().size())); }
};

test::LayoutWalk Walk(const test::SparseFile& file) {
  auto walk = test::WalkLayout("m.pt", file);
  EXPECT_EQ(walk.broken, "");
  return walk;
}
test::LayoutWalk Walk(const Zip& zip) { return Walk(zip.File()); }

Zip Small() {
  return {.entries = {{.offset = 0, .size_bytes = 20}, {.offset = 128, .size_bytes = 300}},
          .directory_begin = 500};
}

TEST(ZipLayoutTest, EachEntryIsAPartAndSoIsTheDirectory) {
  const Zip zip = Small();
  const auto walk = Walk(zip);
  EXPECT_EQ(walk.layout().parts,
            (std::vector<ByteRange>{{0, 128}, {128, 500}, {500, zip.File().size_bytes()}}));
  EXPECT_EQ(walk.needs, (std::vector<ByteRange>{{0, 4}, {4, zip.File().size_bytes()}}));
}

TEST(ZipLayoutTest, OrderOfTheDirectoryDoesNotMatter) {
  Zip zip = Small();
  std::swap(zip.entries[0], zip.entries[1]);
  EXPECT_EQ(Walk(zip).layout().parts.size(), 3u);
  EXPECT_EQ(Walk(zip).layout().parts.front(), (ByteRange{0, 128}));
}

TEST(ZipLayoutTest, ReadsAnEndWithACommentThatLooksLikeOne) {
  Zip zip = Small();
  zip.comment = "PK\5\6 and PK\5\6" + std::string(30, '\0');
  EXPECT_EQ(Walk(zip).layout().parts.size(), 3u) << Walk(zip).why();
}

// As PyTorch ends its archives always.
TEST(ZipLayoutTest, ReadsTheWideEnd) {
  Zip zip = Small();
  zip.wide_end = true;
  EXPECT_EQ(Walk(zip).layout().parts.size(), 3u) << Walk(zip).why();
}

TEST(ZipLayoutTest, ReadsEntriesBeyondFourGigabytes) {
  constexpr U64 kBig = U64{6} << 30;
  const Zip zip{.entries = {{.offset = 0, .size_bytes = kBig, .wide = true},
                            {.offset = kBig + 128, .size_bytes = kBig, .wide = true},
                            {.offset = 2 * kBig + 256, .size_bytes = 10, .wide = true}},
                .directory_begin = 2 * kBig + 400,
                .wide_end = true};
  const auto walk = Walk(zip);
  EXPECT_EQ(walk.layout().parts,
            (std::vector<ByteRange>{{0, kBig + 128},
                                    {kBig + 128, 2 * kBig + 256},
                                    {2 * kBig + 256, 2 * kBig + 400},
                                    {2 * kBig + 400, zip.File().size_bytes()}}))
      << walk.why();
  EXPECT_LE(walk.asked_bytes(), 4u + (64u << 10));
}

TEST(ZipLayoutTest, AsksForTheRestOfALongDirectory) {
  Zip zip{.entries = {}, .directory_begin = U64{20'000} * 256, .wide_end = true};
  for (U64 i = 0; i < 20'000; ++i) zip.entries.push_back({.offset = i * 256, .size_bytes = 200});
  const auto walk = Walk(zip);
  EXPECT_EQ(walk.layout().parts.size(), 20'001u) << walk.why();
  ASSERT_EQ(walk.needs.size(), 3u);
  EXPECT_EQ(walk.needs[2], (ByteRange{zip.directory_begin, walk.needs[1].begin}));
}

TEST(ZipLayoutTest, PartsDoNotReachOverMoreThanAnEntryCan) {
  Zip zip = Small();
  zip.entries[1].offset = 1'000'000;
  zip.directory_begin = 2'000'000;
  const auto parts = Walk(zip).layout().parts;
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_GE(parts[0].size(), 20u + 30 + 14 + 65'535);
  EXPECT_LT(parts[0].size(), 70'000u);
  EXPECT_LT(parts[1].size(), 70'000u);
}

TEST(ZipLayoutTest, DoubtsEntriesThatOverlapOrLeaveTheirPlace) {
  Zip zip = Small();
  zip.entries[0].size_bytes = 128 - 30 - 14;
  EXPECT_FALSE(Walk(zip).doubted());
  zip.entries[0].size_bytes += 1;
  EXPECT_TRUE(Walk(zip).doubted());
  zip = Small();
  zip.entries[1].offset = 0;
  EXPECT_TRUE(Walk(zip).doubted());
  zip = Small();
  zip.entries[1].size_bytes = 500 - 128 - 30 - 14 + 1;
  EXPECT_TRUE(Walk(zip).doubted());
  for (const U64 huge : {~U64{0}, ~U64{0} - 40, U64{1} << 63}) {
    zip = Small();
    zip.entries[1] = {.offset = 128, .size_bytes = huge, .wide = true};
    EXPECT_TRUE(Walk(zip).doubted()) << huge;
    zip.entries[1] = {.offset = huge, .size_bytes = 1, .wide = true};
    EXPECT_TRUE(Walk(zip).doubted()) << huge;
  }
}

TEST(ZipLayoutTest, DoubtsADirectoryThatIsNotWhereItShouldBe) {
  const Zip zip = Small();
  const std::string directory = zip.Directory();
  EXPECT_FALSE(Walk(zip.File(directory, zip.End(directory.size()))).doubted());
  EXPECT_TRUE(Walk(zip.File(directory, zip.End(directory.size() + 1))).doubted());
  EXPECT_TRUE(Walk(zip.File(directory, zip.End(0))).doubted());
  Zip other = zip;
  other.directory_begin += 1;
  EXPECT_TRUE(Walk(zip.File(directory, other.End(directory.size()))).doubted());
  other = zip;
  other.entries.push_back({});
  EXPECT_TRUE(Walk(zip.File(directory, other.End(directory.size()))).doubted());
  other.entries.resize(1);
  EXPECT_TRUE(Walk(zip.File(directory, other.End(directory.size()))).doubted());
  EXPECT_TRUE(Walk(zip.File(directory, zip.End(directory.size()) + "x")).doubted());
  std::string broken = directory;
  broken[0] = 'X';
  EXPECT_TRUE(Walk(zip.File(broken, zip.End(directory.size()))).doubted());
}

TEST(ZipLayoutTest, DoubtsAnArchiveOnSeveralDisks) {
  const Zip zip = Small();
  std::string end = zip.End(zip.Directory().size());
  end[4] = 1;
  EXPECT_TRUE(Walk(zip.File(zip.Directory(), end)).doubted());
}

TEST(ZipLayoutTest, DoubtsAWideEndThatLeadsAstray) {
  Zip zip = Small();
  zip.wide_end = true;
  const std::string directory = zip.Directory();
  const std::string end = zip.End(directory.size());
  for (const U64 record : {U64{0}, U64{499}, 500 + directory.size() + 1, ~U64{0}}) {
    std::string astray = end;
    astray.replace(56 + 8, 8, Little(record));
    EXPECT_TRUE(Walk(zip.File(directory, astray)).doubted()) << record;
  }
  for (const std::size_t field : {32u, 40u, 48u}) {  // Entries, size, begin.
    std::string huge = end;
    huge.replace(field, 8, Little(~U64{0}));
    EXPECT_TRUE(Walk(zip.File(directory, huge)).doubted()) << field;
  }
}

TEST(ZipLayoutTest, DoubtsAWideEntryWithoutItsNumbers) {
  Zip zip = Small();
  zip.entries[1].wide = true;
  std::string directory = zip.Directory();
  EXPECT_FALSE(Walk(zip.File(directory, zip.End(directory.size()))).doubted());
  const std::size_t field = directory.rfind(Little<U16>(1) + Little<U16>(24));
  directory.replace(field, 2, Little<U16>(7));
  EXPECT_TRUE(Walk(zip.File(directory, zip.End(directory.size()))).doubted());
}

TEST(ZipLayoutTest, DoubtsAPickleAfterFourBytes) {
  const auto walk = Walk(test::SparseFile("\x80\x02\x8a\x0al\xfc\x9c" + std::string(5000, 'x')));
  EXPECT_TRUE(walk.doubted());
  EXPECT_EQ(walk.asked_bytes(), 4u);
}

TEST(ZipLayoutTest, DoubtsADirectoryThatCostsTooMuch) {
  Zip zip{.entries = {}, .directory_begin = 1000, .wide_end = true};
  const U64 directory_bytes = kMostLayoutBytes;
  const std::string end = zip.End(directory_bytes);
  test::SparseFile file(1000 + directory_bytes + end.size());
  file.Put(0, "PK\3\4");
  file.Put(1000 + directory_bytes, end);
  const auto walk = Walk(file);
  EXPECT_TRUE(walk.doubted());
  EXPECT_EQ(walk.needs.size(), 2u);
}

}  // namespace
}  // namespace modelfs::index
