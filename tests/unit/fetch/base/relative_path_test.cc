#include "fetch/base/relative_path.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace modelfs {
namespace {

TEST(RelativePathTest, RefusesWhatLeadsElsewhere) {
  for (const char* const good : {"a", "a/b.bin", "..a", "a/...", "a b#c"}) {
    EXPECT_TRUE(IsSafeRelativePath(good)) << good;
  }
  for (const char* const bad : {"", "/a", "a/", "a//b", ".", "..", "a/../b", "../x"}) {
    EXPECT_FALSE(IsSafeRelativePath(bad)) << bad;
  }
  EXPECT_FALSE(IsSafeRelativePath(std::string_view("a\0b", 3)));
  EXPECT_FALSE(IsSafeRelativePath(std::string(5000, 'a')));
  std::string deep = "a";
  for (int i = 0; i < 100; ++i) deep += "/a";
  EXPECT_FALSE(IsSafeRelativePath(deep));
}

}  // namespace
}  // namespace modelfs
