#include "fetch/http/redirect.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace modelfs::fetch {
namespace {

HttpResponse To(std::string location) {
  return {.status = 302, .headers = {{"location", std::move(location)}}};
}

TEST(RedirectTrail, ResolvesRelativePlaces) {
  RedirectTrail trail("http://h:81/a/b/c?x=1");
  EXPECT_EQ(*trail.Follow(To("../d#part")), "http://h:81/a/d");
  EXPECT_EQ(*trail.Follow(To("/e%2F?q=a%20b")), "http://h:81/e%2F?q=a%20b");
  EXPECT_EQ(*trail.Follow(To("?r")), "http://h:81/e%2F?r");
  EXPECT_EQ(*trail.Follow(To("//other/x")), "http://other/x");
  EXPECT_EQ(trail.url(), "http://other/x");
}

TEST(RedirectTrail, CredentialsStayAtTheirHost) {
  const auto same = [](std::string from, std::string to) {
    RedirectTrail trail(std::move(from));
    EXPECT_TRUE(trail.Follow(To(std::move(to))));
    return trail.SameHost();
  };
  EXPECT_TRUE(same("https://h/x", "/y"));
  EXPECT_TRUE(same("https://h/x", "https://H:443/y"));
  EXPECT_TRUE(same("http://h/x", "https://h/y"));
  EXPECT_FALSE(same("http://h:81/x", "https://h/y"));
  EXPECT_FALSE(same("https://h/x", "https://h:444/y"));
  EXPECT_FALSE(same("https://h/x", "https://sub.h/y"));
  EXPECT_FALSE(same("https://h/x", "https://h.evil/y"));
  RedirectTrail back("https://h/x");
  EXPECT_TRUE(back.Follow(To("https://other/y")));
  EXPECT_TRUE(back.Follow(To("https://h/z")));
  EXPECT_TRUE(back.SameHost());
}

TEST(RedirectTrail, ThisMachineIsReachedOnlyFromItself) {
  for (const char* near :
       {"http://127.0.0.1/x", "http://2130706433/x", "http://0x7f.1/x", "http://localhost./x",
        "http://a.localhost/", "http://[fe80::1]/", "http://169.254.170.2/v2", "http://0.0.0.0/"}) {
    RedirectTrail trail("http://h/x");
    EXPECT_FALSE(trail.Follow(To(near))) << near;
  }
  RedirectTrail own("http://127.0.0.1:81/x");
  EXPECT_TRUE(own.Follow(To("http://127.0.0.1:82/y")));
}

TEST(RedirectTrail, GoesNeitherInCirclesNorDown) {
  RedirectTrail circle("http://h/a");
  EXPECT_TRUE(circle.Follow(To("/b")));
  EXPECT_FALSE(circle.Follow(To("/a")));
  RedirectTrail down("https://h/a");
  EXPECT_FALSE(down.Follow(To("http://h/b")));
  RedirectTrail none("https://h/a");
  EXPECT_FALSE(none.Follow({.status = 302}));
}

}  // namespace
}  // namespace modelfs::fetch
