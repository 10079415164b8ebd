#include "fs/tree/names.h"

#include <gtest/gtest.h>

#include <random>

namespace modelfs::fs {
namespace {

using namespace std::string_literals;

TEST(NamesTest, LeavesSafeNamesAlone) {
  for (const char* name :
       {"model.safetensors", "a b+c=d&e", "50%", "100%zz", "ünï", ".hidden", "..."}) {
    EXPECT_EQ(EscapeName(name), name);
  }
}

TEST(NamesTest, EscapesWhatNoFileNameMayHold) {
  EXPECT_EQ(EscapeName("."), "%2E");
  EXPECT_EQ(EscapeName(".."), "%2E%2E");
  EXPECT_EQ(EscapeName("a/b"), "a%2Fb");
  EXPECT_EQ(EscapeName("a\0b"s), "a%00b");
  EXPECT_EQ(EscapeName("a\nb\x7f"), "a%0Ab%7F");
  EXPECT_EQ(EscapeName("a%41"), "a%2541");
}

TEST(NamesTest, HasNoNameForEmptyAndTooLong) {
  EXPECT_EQ(EscapeName(""), std::nullopt);
  EXPECT_TRUE(EscapeName(std::string(255, 'x')));
  EXPECT_EQ(EscapeName(std::string(256, 'x')), std::nullopt);
  EXPECT_EQ(EscapeName(std::string(100, '\n')), std::nullopt);
}

TEST(NamesTest, UnescapeUndoesEscape) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::string alphabet = "%.a2Ff/\n\0 \x7f\xc3"s;
  for (int i = 0; i < 20'000; ++i) {
    std::string raw;
    for (auto n = random() % 8 + 1; n > 0; --n) raw += alphabet[random() % alphabet.size()];
    auto shown = EscapeName(raw);
    ASSERT_TRUE(shown);
    EXPECT_EQ(UnescapeName(*shown), raw);
    EXPECT_EQ(shown->find('/'), std::string::npos);
    EXPECT_NE(*shown, ".");
    EXPECT_NE(*shown, "..");
  }
}

}  // namespace
}  // namespace modelfs::fs
