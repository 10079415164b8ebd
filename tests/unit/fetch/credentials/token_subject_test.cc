#include "fetch/credentials/token_subject.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "fetch/base/base64.h"

namespace modelfs::fetch {
namespace {

std::string Token(std::string_view payload) {
  std::string middle = Base64Encode(payload);
  std::erase(middle, '=');
  std::ranges::replace(middle, '+', '-');
  std::ranges::replace(middle, '/', '_');
  return "eyJhbGciOiJub25lIn0." + middle + ".c2ln";
}

TEST(TokenSubject, IsTheServiceAccount) {
  EXPECT_EQ(TokenSubject(Token(R"({"aud":["x"],"sub":"system:serviceaccount:prod:reader"})")),
            "system:serviceaccount:prod:reader");
  EXPECT_EQ(TokenSubject(Token("{\"sub\":\"\xC3\xBF\xC3\xBE?>\"}")), "\xC3\xBF\xC3\xBE?>");
}

TEST(TokenSubject, IsEmptyForAnythingElse) {
  for (const std::string& token :
       {std::string(), std::string("opaque"), std::string("a.b"), std::string("a.b.c"),
        std::string(".."), Token("{}"), Token("[1]"), Token("{\"sub\":1}"), Token("{\"sub\":"),
        Token(fmt::format("{{\"sub\":\"{:x>600}\"}}", ""))}) {
    EXPECT_EQ(TokenSubject(token), "") << token;
  }
}

}  // namespace
}  // namespace modelfs::fetch
