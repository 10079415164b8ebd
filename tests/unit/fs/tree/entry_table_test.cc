#include "fs/tree/entry_table.h"

#include <gtest/gtest.h>

#include <string>

namespace modelfs::fs {
namespace {

TEST(EntryTableTest, GivesBackWhatWasAdded) {
  EntryTable table;
  const auto when = std::chrono::system_clock::time_point(std::chrono::seconds(1'700'000'000));
  EXPECT_FALSE(table.Find("a%2Fb"));
  const auto index = table.Add({.name = "a%2Fb",
                                .raw = "a/b",
                                .tag = "\"etag\"",
                                .size_bytes = 7,
                                .modified = when,
                                .kind = fetch::Entry::Kind::kFile});
  const auto row = table.At(index);
  EXPECT_EQ(row.name, "a%2Fb");
  EXPECT_EQ(row.RawName(), "a/b");
  EXPECT_EQ(row.tag, "\"etag\"");
  EXPECT_EQ(row.size_bytes, 7u);
  EXPECT_EQ(row.modified, when);
  EXPECT_EQ(table.Find("a%2Fb"), index);
  EXPECT_FALSE(table.Find("a/b"));
}

TEST(EntryTableTest, FindsTheLatestOfAName) {
  EntryTable table;
  const auto first = table.Add({.name = "n", .tag = "1"});
  table.SetGone(first);
  const auto second = table.Add({.name = "n", .tag = "2"});
  EXPECT_EQ(table.Find("n"), second);
  EXPECT_EQ(table.At(first).tag, "1");
  EXPECT_TRUE(table.At(first).gone);
}

TEST(EntryTableTest, KeepsTextsInPlaceWhileItGrows) {
  EntryTable table;
  constexpr std::uint32_t kCount = 50'000;
  const std::string long_tag(100'000, 't');
  const auto odd = table.Add({.name = "odd", .tag = long_tag});
  const std::string_view name = table.At(odd).name;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    table.Add({.name = "name-" + std::to_string(i), .tag = std::to_string(i)});
  }
  EXPECT_EQ(name.data(), table.At(odd).name.data());
  EXPECT_EQ(table.At(odd).tag, long_tag);
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const auto found = table.Find("name-" + std::to_string(i));
    ASSERT_TRUE(found);
    ASSERT_EQ(table.At(*found).tag, std::to_string(i));
  }
  EXPECT_FALSE(table.Find("name-50000"));
}

TEST(EntryTableTest, HoldsNamesOfTheGreatestLength) {
  EntryTable table;
  const std::string name(255, 'n');
  const std::string raw(255, 'r');
  const auto index = table.Add({.name = name, .raw = raw});
  EXPECT_EQ(table.At(index).name, name);
  EXPECT_EQ(table.At(index).RawName(), raw);
  EXPECT_EQ(table.At(index).tag, "");
}

}  // namespace
}  // namespace modelfs::fs
