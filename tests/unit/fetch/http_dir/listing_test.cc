#include "fetch/http_dir/listing.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace modelfs::fetch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Names(std::string_view body,
                               ListingPlace place = ListingPlace::kDirectory) {
  const auto listing = ParseHttpListing(body, place);
  if (!listing) return {listing.error().what};
  std::vector<std::string> names;
  for (const HttpListed& entry : listing->entries) {
    names.push_back(entry.name + (entry.kind == Entry::Kind::kDirectory ? "/" : ""));
  }
  return names;
}

TEST(HttpListing, ReadsNginx) {
  EXPECT_THAT(
      Names("<html>\r\n<head><title>Index of /models/</title></head>\r\n<body>\r\n<h1>Index of "
            "/models/</h1><hr><pre><a href=\"../\">../</a>\r\n"
            "<a href=\"onnx/\">onnx/</a>              24-Nov-2026 20:32                   -\r\n"
            "<a href=\"a%20b%2Bc%26d.bin\">a b+c&amp;d.bin</a>  24-Nov-2026 20:32   1000\r\n"
            "</pre><hr></body>\r\n</html>\r\n"),
      ElementsAre("onnx/", "a b+c&d.bin"));
}

TEST(HttpListing, ReadsApache) {
  EXPECT_THAT(
      Names("<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n <head>\n"
            "  <title>Index of /x</title>\n </head>\n <body>\n<h1>Index of /x</h1>\n  <table>\n"
            "   <tr><th><a href=\"?C=N;O=D\">Name</a></th><th><a href=\"?C=M;O=A\">Last "
            "modified</a></th></tr>\n"
            "<tr><td valign=\"top\"><img src=\"/icons/back.gif\" alt=\"[PARENTDIR]\"></td><td>"
            "<a href=\"/\">Parent Directory</a></td></tr>\n"
            "<tr><td><A HREF='sub/'>sub/</A></td><td align=\"right\">2026-11-24 20:32</td></tr>\n"
            "<tr><td><a\nclass=x href=w.bin >w.bin</a></td><td align=\"right\">1.2M</td></tr>\n"
            "<tr><td><a href=\"./a:b\">a:b</a></td></tr>\n"
            "</table></body></html>\n"),
      ElementsAre("sub/", "w.bin", "a:b"));
}

TEST(HttpListing, ReadsPythons) {
  EXPECT_THAT(Names("<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<title>Directory listing for "
                    "/</title>\n</head>\n<body>\n<ul>\n"
                    "<li><a href=\".hidden\">.hidden</a></li>\n"
                    "<li><a href=\"%C3%BC.bin\">\xC3\xBC.bin</a></li>\n</ul>\n</body></html>"),
              ElementsAre(".hidden", "\xC3\xBC.bin"));
}

TEST(HttpListing, TakesOnlyPlainChildren) {
  for (const char* href : {"",
                           "/",
                           "/etc/passwd",
                           "../",
                           "..",
                           ".",
                           "./",
                           "../x",
                           "a/b",
                           "a/../../x",
                           "//host/x",
                           "http://host/x",
                           "https:x",
                           "javascript:alert(1)",
                           "mailto:a@b",
                           "?C=N",
                           "x?y",
                           "#top",
                           "%2e%2e/",
                           "%2E%2E",
                           "..%2f..%2fetc",
                           "a%2Fb",
                           "x%00y",
                           "./../x",
                           "c:x"}) {
    EXPECT_EQ(ChildOfLink(href), std::nullopt) << href;
  }
  EXPECT_EQ(ChildOfLink("..."), "...");
  EXPECT_EQ(ChildOfLink("%252e%252e"), "%2e%2e");  // Decoded once.
  EXPECT_EQ(ChildOfLink("a%3Ab%3F"), "a:b?");
  EXPECT_EQ(ChildOfLink("%zz%4"), "%zz%4");
}

TEST(HttpListing, ResolvesEntities) {
  EXPECT_THAT(Names("<title>Index of x</title><a href=\"a&amp;b\"></a><a href=\"&#65;&#x42;\"></a>"
                    "<a href=\"c&bogus;d\"></a><a href=\"&#0;e\"></a><a href=\"&#46;&#46;&#47;\">"
                    "</a><a href=\"&lt;&gt;&quot;&#39;\"></a>"),
              ElementsAre("a&b", "AB", "c&bogus;d", "<>\"'"));
}

TEST(HttpListing, IsNoOtherPage) {
  for (const char* page : {"", "It works!", "<html><title>Login</title><a href=\"x\">x</a></html>",
                           "{\"error\": \"x\"}", "[1", "\xff\xfe"}) {
    const auto listing = ParseHttpListing(page, ListingPlace::kDirectory);
    ASSERT_FALSE(listing) << page;
    EXPECT_EQ(listing.error().code, Errc::kInvalid) << page;
  }
}

TEST(HttpListing, BrokenHtmlEndsSomewhere) {
  const std::string head = "<title>Index of x</title>";
  for (const char* rest : {"<a href=\"x", "<a ", "<a href", "<a href=", "<a href='x' y=\"", "<",
                           "<a =x>", "<a / / href=x>", "<a href=x", "<a\t\t\t"}) {
    EXPECT_TRUE(ParseHttpListing(head + rest, ListingPlace::kDirectory)) << rest;
  }
}

TEST(HttpListing, HasALimit) {
  std::string page = "<title>Index of x</title>";
  for (int i = 0; i <= 200'000; ++i) page += "<a href=x>";
  EXPECT_EQ(ParseHttpListing(page, ListingPlace::kDirectory).error().code, Errc::kCorrupt);
}

TEST(HttpListing, BelievesTheJsonOfNginx) {
  const auto listing = ParseHttpListing(
      R"([{"name":"sub", "type":"directory", "mtime":"Tue, 24 Nov 2026 20:32:00 GMT"},)"
      R"({"name":"w.bin", "type":"file", "mtime":"Fri, 24 May 2013 00:00:00 GMT", "size":1000}])",
      ListingPlace::kDirectory);
  ASSERT_TRUE(listing) << listing.error().what;
  ASSERT_EQ(listing->entries.size(), 2u);
  EXPECT_EQ(listing->entries[0].kind, Entry::Kind::kDirectory);
  EXPECT_EQ(listing->entries[1].size_bytes, 1000u);
  EXPECT_EQ(listing->entries[1].tag, "modified=1369353600");
}

TEST(HttpListing, TakesOnlyNamesFromCaddy) {
  const auto listing = ParseHttpListing(
      R"([{"name":"sub/","size":0,"url":"./sub/","mod_time":"2026-11-24T20:32:00.5Z","is_dir":true},)"
      R"({"name":"w","size":10,"url":"./w","mod_time":"2026-11-24T20:32:00.5Z","is_dir":false}])",
      ListingPlace::kDirectory);
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->entries[0].name, "sub");
  EXPECT_EQ(listing->entries[0].kind, Entry::Kind::kDirectory);
  EXPECT_EQ(listing->entries[1].tag, "");
}

TEST(HttpListing, ReadsAnIndexFile) {
  for (
      const char* text :
      {R"([{"name":"a","size":3,"mtime":1369353600,"etag":"\"x\""},{"name":"d","type":"directory"}])",
       R"({"entries":[{"name":"a","size":3,"mtime":"2013-05-24T00:00:00Z","etag":"\"x\""},)"
       R"({"name":"d/"}]})"}) {
    const auto listing = ParseHttpListing(text, ListingPlace::kIndexFile);
    ASSERT_TRUE(listing) << listing.error().what;
    ASSERT_EQ(listing->entries.size(), 2u);
    EXPECT_EQ(listing->entries[0].size_bytes, 3u);
    EXPECT_EQ(listing->entries[0].tag, "\"x\"");
    EXPECT_EQ(listing->entries[0].modified.time_since_epoch(), std::chrono::seconds(1369353600));
    EXPECT_EQ(listing->entries[1].kind, Entry::Kind::kDirectory);
  }
  EXPECT_THAT(Names(R"([{"name":"../x"},{"name":""},{"name":".."},{"name":"a/b"},{"name":7},{},5,)"
                    R"({"name":"ok","size":-1,"mtime":1e99},{"name":"x\u0000y"}])",
                    ListingPlace::kIndexFile),
              ElementsAre("ok"));
  EXPECT_THAT(Names("[]", ListingPlace::kIndexFile), IsEmpty());
  EXPECT_FALSE(ParseHttpListing("<html>", ListingPlace::kIndexFile));
}

}  // namespace
}  // namespace modelfs::fetch
