#include "fetch/base/percent.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace modelfs {
namespace {

TEST(Percent, EncodesAllButUnreserved) {
  EXPECT_EQ(PercentEncode("AZaz09-_.~", Slash::kEncode), "AZaz09-_.~");
  EXPECT_EQ(PercentEncode("a/b c+%", Slash::kKeep), "a/b%20c%2B%25");
  EXPECT_EQ(PercentEncode("a/b", Slash::kEncode), "a%2Fb");
  EXPECT_EQ(PercentEncode("m\xC3\xA9l", Slash::kKeep), "m%C3%A9l");
  EXPECT_EQ(PercentEncode(std::string_view("\0\n\x7F", 3), Slash::kKeep), "%00%0A%7F");
}

TEST(Percent, DecodesEitherCaseAndKeepsWhatIsNoEscape) {
  EXPECT_EQ(PercentDecode("%41%2f%2F", Plus::kPlus), "A//");
  EXPECT_EQ(PercentDecode("a+b%2B", Plus::kSpace), "a b+");
  EXPECT_EQ(PercentDecode("a+b%2B", Plus::kPlus), "a+b+");
  EXPECT_EQ(PercentDecode("%", Plus::kPlus), "%");
  EXPECT_EQ(PercentDecode("%4", Plus::kPlus), "%4");
  EXPECT_EQ(PercentDecode("%zz%4g", Plus::kPlus), "%zz%4g");
  EXPECT_EQ(PercentDecode("%2541", Plus::kPlus), "%41");
  EXPECT_EQ(PercentDecode("%00", Plus::kPlus), std::string(1, '\0'));
}

TEST(Percent, DecodesWhatItEncodes) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 200; ++i) {
    std::string raw(random() % 50, '\0');
    for (char& c : raw) c = static_cast<char>(random());
    EXPECT_EQ(PercentDecode(PercentEncode(raw, Slash::kEncode), Plus::kSpace), raw);
  }
}

TEST(Printable, LeavesTextAndEscapesTheRest) {
  EXPECT_EQ(Printable("models/caf\xC3\xA9 1"), "models/caf\xC3\xA9 1");
  EXPECT_EQ(Printable("a\nb\x1B[31m\\"), "a\\x0ab\\x1b[31m\\x5c");
  EXPECT_EQ(Printable("\xFF\xC3"), "\\xff\\xc3");
  EXPECT_EQ(Printable("\xC2\x9B"), "\\xc2\\x9b");           // CSI as a C1 control
  EXPECT_EQ(Printable("\xE0\x80\xAF"), "\\xe0\\x80\\xaf");  // overlong '/'
  EXPECT_EQ(Printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(Printable("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(Printable(std::string(600, 'a')).size(), 515u);
}

}  // namespace
}  // namespace modelfs
