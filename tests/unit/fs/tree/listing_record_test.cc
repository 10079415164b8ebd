#include "fs/tree/listing_record.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/unit/fs/held_origin.h"

namespace modelfs::fs {
namespace {

fetch::Listing Sample() {
  fetch::Listing listing;
  listing.entries.push_back(test::DirectoryEntry("folder"));
  listing.entries.push_back(test::FileEntry(std::string("odd\0\xff%2F", 8), ~0ull, "\"e\""));
  listing.entries.push_back(test::FileEntry("weights", 1ull << 40, ""));
  listing.entries.back().modified =
      std::chrono::system_clock::time_point(std::chrono::milliseconds(-1'234'567));
  return listing;
}

void ExpectSame(const fetch::Listing& a, const fetch::Listing& b) {
  ASSERT_EQ(a.entries.size(), b.entries.size());
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    EXPECT_EQ(a.entries[i].name, b.entries[i].name);
    EXPECT_EQ(a.entries[i].kind, b.entries[i].kind);
    EXPECT_EQ(a.entries[i].size_bytes, b.entries[i].size_bytes);
    EXPECT_EQ(a.entries[i].tag, b.entries[i].tag);
    EXPECT_EQ(a.entries[i].modified, b.entries[i].modified);
  }
}

TEST(ListingRecordTest, GivesBackWhatItGot) {
  const std::string bytes = EncodeListing(Sample());
  const auto read = DecodeListing(bytes);
  ASSERT_TRUE(read) << read.error().what;
  ExpectSame(*read, Sample());
  EXPECT_EQ(EncodeListing(*read), bytes);
  EXPECT_NE(ListingChecksum(bytes), ListingChecksum(EncodeListing({})));
  EXPECT_TRUE(DecodeListing(EncodeListing({})));
}

TEST(ListingRecordTest, BelievesNoFlippedBit) {
  const std::string good = EncodeListing(Sample());
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_FALSE(DecodeListing(bad)) << at;
  }
}

TEST(ListingRecordTest, BelievesNoPartOfItself) {
  const std::string good = EncodeListing(Sample());
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(DecodeListing(good.substr(0, size))) << size;
  }
  EXPECT_FALSE(DecodeListing(good + "x"));
}

TEST(ListingRecordTest, SurvivesAnyBytes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = "MFL1";
    for (std::size_t left = random() % 64; left > 0; --left) {
      bytes.push_back(static_cast<char>(random()));
    }
    EXPECT_FALSE(DecodeListing(bytes));
  }
}

TEST(ListingRecordTest, NamesAnotherVersion) {
  std::string bytes = EncodeListing(Sample());
  bytes[3] = '2';
  const auto read = DecodeListing(bytes);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kInvalid);
  EXPECT_NE(read.error().what.find("version '2'"), std::string::npos);
}

TEST(ListingRecordTest, StampsGiveBackWhatTheyGot) {
  const ListingStamp stamp{.listed_at = std::chrono::system_clock::now(), .checksum = 0x1234};
  const auto read = ListingStamp::Decode(stamp.Encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->listed_at, stamp.listed_at);
  EXPECT_EQ(read->checksum, stamp.checksum);
  EXPECT_FALSE(ListingStamp::Decode(EncodeListing({})));
}

}  // namespace
}  // namespace modelfs::fs
