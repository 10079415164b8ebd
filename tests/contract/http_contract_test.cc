// What HttpDirOrigin makes of passwords, index files and servers in the way, on real servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/contract/origin_fixture.h"

namespace modelfs::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class HttpContract : public testing::Test {
 protected:
  std::shared_ptr<fetch::Origin> Open(const std::string& url,
                                      const fetch::OriginSettings& settings = {}) {
    auto origin = fetch::MakeOrigin(context_, url, settings);
    if (origin) return *std::move(origin);
    ADD_FAILURE() << origin.error().what;
    return nullptr;
  }
  static Result<fetch::Listing> List(fetch::Origin& origin) {
    Await<fetch::Listing> listing;
    origin.List("", listing.done());
    return listing.Wait();
  }
  static Result<std::vector<std::byte>> Read(fetch::Origin& origin, const fetch::ObjectId& object,
                                             ByteRange range) {
    const auto sink = std::make_shared<CollectingSink>();
    Await<void> done;
    origin.Read(object, range, sink, done.done());
    const auto read = done.Wait();
    if (!read) return std::unexpected(read.error());
    return sink->bytes();
  }

  TempDir root_;
  TempDir secrets_;
  fetch::FetchContext context_{{}};
};

TEST_F(HttpContract, APasswordComesFromAFile) {
  root_.Write("weights", PatternText(1, 5000));
  auto server = WebServer::StartNginx({.root = root_.path(), .user = "me", .password = "hush"});
  ASSERT_TRUE(server) << server.error().what;
  const auto denied = List(*Open((*server)->Url()));
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code, Errc::kDenied) << denied.error().what;
  EXPECT_THAT(denied.error().what, HasSubstr("auth_file"));

  const std::string file = secrets_.Write("auth", "me:wrong\n").string();
  const auto origin = Open((*server)->Url(), {.http_auth_file = file});
  const auto wrong = List(*origin);
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().what, HasSubstr(file));
  EXPECT_THAT(wrong.error().what, Not(HasSubstr("wrong")));
  secrets_.Write("auth", "me:hush\n");
  const auto listing = List(*origin);
  ASSERT_TRUE(listing) << listing.error().what;
  const auto bytes = Read(*origin, origin->Pin("", listing->entries.at(0)), {1000, 2000});
  ASSERT_TRUE(bytes) << bytes.error().what;
  EXPECT_FALSE(PatternMismatch(1, 1000, *bytes));
}

TEST_F(HttpContract, AnIndexFileStandsInForListings) {
  root_.Write("weights", PatternText(1, 5000));
  root_.Write("unlisted", "x");
  root_.Write("index.json", R"({"entries": [{"name": "weights"}, {"name": "sub/"}]})");
  auto server = WebServer::StartNginx({.root = root_.path(), .listings = false});
  ASSERT_TRUE(server) << server.error().what;
  const auto origin = Open((*server)->Url() + "/");
  const auto listing = List(*origin);
  ASSERT_TRUE(listing) << listing.error().what;
  ASSERT_EQ(listing->entries.size(), 2u);
  EXPECT_EQ(listing->entries[0].name, "sub");
  EXPECT_EQ(listing->entries[1].size_bytes, 5000u);
  EXPECT_THAT(listing->entries[1].tag, HasSubstr("\""));
  EXPECT_TRUE(Read(*origin, origin->Pin("", listing->entries[1]), {4000, 5000}));
}

TEST_F(HttpContract, AnOrdinaryPageIsNoListing) {
  root_.Write("index.html", "<html><body><a href=\"x\">Welcome</a></body></html>");
  auto server = WebServer::StartPython(root_.path());
  ASSERT_TRUE(server) << server.error().what;
  const auto origin = Open((*server)->Url());
  Await<void> probe;
  origin->Probe(std::chrono::seconds(8), probe.done());
  const auto answer = probe.Wait();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::kInvalid) << answer.error().what;
  EXPECT_THAT(answer.error().what, HasSubstr("no listing"));
}

TEST_F(HttpContract, WithoutRangesAReadOfAPartSaysSo) {
  root_.Write("weights", PatternText(1, 500'000));
  auto server = WebServer::StartPython(root_.path());
  ASSERT_TRUE(server) << server.error().what;
  const auto origin = Open((*server)->Url());
  const auto listing = List(*origin);
  ASSERT_TRUE(listing) << listing.error().what;
  const auto object = origin->Pin("", listing->entries.at(0));
  EXPECT_EQ(origin->DeliveryOf(object), fetch::Delivery::kRanges);
  EXPECT_EQ(Read(*origin, object, {1000, 2000}).error().code, Errc::kUnranged);
  EXPECT_EQ(origin->DeliveryOf(object), fetch::Delivery::kStream);
  const auto all = Read(*origin, object, {0, 500'000});
  ASSERT_TRUE(all) << all.error().what;
  EXPECT_FALSE(PatternMismatch(1, 0, *all));
}

}  // namespace
}  // namespace modelfs::test
