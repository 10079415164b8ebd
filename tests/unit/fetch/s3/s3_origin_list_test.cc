#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/fetch/s3/s3_origin_fixture.h"

namespace modelfs::test {
namespace {

using fetch::Entry;
using fetch::Listing;
using testing::ElementsAre;
using testing::HasSubstr;

class S3OriginListTest : public S3OriginFixture {
 protected:
  void SetUp() override { Make(); }

  static std::vector<std::string> Names(const Result<Listing>& listing) {
    if (!listing) return {"error: " + listing.error().what};
    std::vector<std::string> names;
    for (const Entry& e : listing->entries)
      names.push_back(e.name + (e.kind == Entry::Kind::kDirectory ? "/" : ""));
    return names;
  }
};

TEST_F(S3OriginListTest, AsksForOneDirectory) {
  transport_.Then(Page(""));
  EXPECT_THAT(Names(List("a b/")), ElementsAre());
  ASSERT_EQ(transport_.requests().size(), 1u);
  const auto& request = transport_.requests()[0];
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.url,
            "http://h:1/"
            "bkt?delimiter=%2F&encoding-type=url&list-type=2&max-keys=1000&prefix=pre%2Fa%20b%2F");
  EXPECT_THAT(HeaderOf(request, "authorization"),
              HasSubstr("Credential=AKIA1/20130524/us-east-1/s3/aws4_request"));
  EXPECT_EQ(HeaderOf(request, "host"), "");
}

TEST_F(S3OriginListTest, ListsFilesAndDirectoriesByName) {
  transport_.Then(
      Page(Content("pre/b", 5) + Content("pre/a") + Prefix("pre/c/") + Content("pre/")));
  const auto listing = List();
  ASSERT_THAT(Names(listing), ElementsAre("a", "b", "c/"));
  EXPECT_EQ(listing->entries[1].size_bytes, 5u);
  EXPECT_EQ(listing->entries[1].tag, "\"e\"");
}

TEST_F(S3OriginListTest, GoesOnUntilNothingIsTruncated) {
  transport_.Then(
      Page("<IsTruncated>true</IsTruncated><NextContinuationToken>t/+1=</NextContinuationToken>" +
           Content("pre/a") + Prefix("pre/d/")));
  transport_.Then(
      Page("<IsTruncated>true</IsTruncated><NextContinuationToken>t2</NextContinuationToken>"));
  transport_.Then(Page("<IsTruncated>false</IsTruncated>" + Prefix("pre/d/") + Content("pre/z")));
  EXPECT_THAT(Names(List()), ElementsAre("a", "d/", "z"));
  ASSERT_EQ(transport_.requests().size(), 3u);
  EXPECT_THAT(transport_.requests()[1].url, HasSubstr("continuation-token=t%2F%2B1%3D&"));
  EXPECT_THAT(transport_.requests()[2].url, HasSubstr("continuation-token=t2&"));
}

TEST_F(S3OriginListTest, KeepsAKeyThatIsBothFileAndDirectory) {
  transport_.Then(Page(Content("pre/x") + Prefix("pre/x/")));
  EXPECT_THAT(Names(List()), ElementsAre("x", "x/"));
}

TEST_F(S3OriginListTest, SkipsEmptyComponents) {
  transport_.Then(Page(Content("pre//") + Prefix("pre//") + Content("pre//deep") +
                       Content("pre/ok") + Content("outside")));
  EXPECT_THAT(Names(List()), ElementsAre("ok"));
}

TEST_F(S3OriginListTest, ANameIsOneComponentEvenWhereDelimitersAreIgnored) {
  transport_.Then(
      Page(Content("pre/a/b/c") + Content("pre/a/d") + Prefix("pre/e/f/") + Prefix("pre/g")));
  EXPECT_THAT(Names(List()), ElementsAre("a/", "e/", "g/"));
}

TEST_F(S3OriginListTest, KeepsNamesAsTheyAre) {
  transport_.Then(Page("<EncodingType>url</EncodingType>" + Content("pre/..") +
                       Content("pre/%00%0A") + Prefix("pre/%FF/")));
  EXPECT_THAT(Names(List()), ElementsAre(std::string("\0\n", 2), "..", "\xFF/"));
}

TEST_F(S3OriginListTest, AsksAgainForAPageThatBrokeInTheMiddle) {
  transport_.Then({.body = "<ListBucketResult><Contents><Key>pre/a"});
  transport_.Then(Page(Content("pre/a")));
  EXPECT_THAT(Names(List()), ElementsAre("a"));
}

TEST_F(S3OriginListTest, GivesUpOnPagesThatMakeNoSense) {
  for (int i = 0; i < 3; ++i) transport_.Then({.body = "<html>hello</html>"});
  const auto listing = List();
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Errc::kCorrupt);
  EXPECT_THAT(listing.error().what, HasSubstr("LIST s3://bkt/pre/"));
}

TEST_F(S3OriginListTest, DoesNotGoInCircles) {
  for (int i = 0; i < 4; ++i) {
    transport_.Then(
        Page("<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>"));
  }
  const auto listing = List();
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Errc::kCorrupt);
}

TEST_F(S3OriginListTest, EndsWhereAServerNeverStops) {
  const auto page = [](int number, const std::string& inside) {
    return Page(fmt::format("<IsTruncated>true</IsTruncated><NextContinuationToken>{}"
                            "</NextContinuationToken>",
                            number) +
                inside);
  };
  // A name now and then is progress.
  for (int i = 0; i < 1'500; ++i) {
    transport_.Then(page(i, i % 900 == 0 ? Content(fmt::format("pre/{}", i)) : ""));
  }
  transport_.Then(Page(""));
  EXPECT_THAT(Names(List()), ElementsAre("0", "900"));
  for (int i = 0; i < 1'001; ++i) transport_.Then(page(i, i == 0 ? Content("pre/a") : ""));
  const auto endless = List();
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, Errc::kCorrupt);
  EXPECT_THAT(endless.error().what, HasSubstr("no end after 1 names and 1000 pages"));
  EXPECT_EQ(transport_.unused(), 0u);
}

TEST_F(S3OriginListTest, WaitsLongerEachTimeWhileThrottled) {
  transport_.Then(S3Failure(503, "SlowDown"));
  transport_.Then(S3Failure(503, "SlowDown"));
  FakeReply asks = S3Failure(503, "SlowDown");
  asks.headers = {{"retry-after", "3"}};
  transport_.Then(asks);
  transport_.Then(Page(Content("pre/a")));
  EXPECT_THAT(Names(List()), ElementsAre("a"));
  EXPECT_THAT(Delays(), ElementsAre(500, 1000, 3000));
  EXPECT_EQ(budget_->Left(), 500);
}

TEST_F(S3OriginListTest, GivesUpAfterItsAttempts) {
  for (int i = 0; i < 4; ++i) transport_.Then(S3Failure(500, "InternalError"));
  const auto listing = List();
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Errc::kTransient);
  EXPECT_THAT(listing.error().what, HasSubstr("HTTP 500 InternalError"));
  EXPECT_THAT(listing.error().what, HasSubstr("attempt 4"));
  EXPECT_EQ(budget_->Left(), 500 - 3 * 14);
}

TEST_F(S3OriginListTest, DoesNotRepeatWhatIsDenied) {
  transport_.Then(S3Failure(403, "AccessDenied"));
  const auto listing = List();
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Errc::kDenied);
  EXPECT_THAT(listing.error().what, HasSubstr("AccessDenied"));
}

TEST_F(S3OriginListTest, LearnsTheRegionOnceForAll) {
  FakeReply redirect = S3Failure(301, "PermanentRedirect");
  redirect.headers = {{"x-amz-bucket-region", "eu-west-1"}};
  transport_.Then(redirect);
  transport_.Then(Page(""));
  transport_.Then(Page(""));
  EXPECT_TRUE(List());
  EXPECT_TRUE(List());
  ASSERT_EQ(transport_.requests().size(), 3u);
  EXPECT_THAT(HeaderOf(transport_.requests()[1], "authorization"), HasSubstr("/eu-west-1/s3/"));
  EXPECT_THAT(HeaderOf(transport_.requests()[2], "authorization"), HasSubstr("/eu-west-1/s3/"));
  EXPECT_THAT(Delays(), ElementsAre());
}

TEST_F(S3OriginListTest, TakesTheRegionFromTheErrorDocument) {
  transport_.Then(S3Failure(400, "AuthorizationHeaderMalformed", "<Region>ap-south-1</Region>"));
  transport_.Then(Page(""));
  EXPECT_TRUE(List());
  EXPECT_THAT(HeaderOf(transport_.requests()[1], "authorization"), HasSubstr("/ap-south-1/s3/"));
}

TEST_F(S3OriginListTest, AsksForTheRegionWhereTheErrorDoesNotTell) {
  transport_.Then(S3Failure(301, "PermanentRedirect"));
  transport_.Then({.status = 403, .headers = {{"x-amz-bucket-region", "eu-west-3"}}});
  transport_.Then(Page(""));
  EXPECT_TRUE(List());
  EXPECT_EQ(transport_.requests()[1].method, "HEAD");
  EXPECT_THAT(HeaderOf(transport_.requests()[2], "authorization"), HasSubstr("/eu-west-3/s3/"));
}

TEST_F(S3OriginListTest, FollowsRegionsOnlyOnce) {
  transport_.Then(S3Failure(400, "AuthorizationHeaderMalformed", "<Region>r-1</Region>"));
  transport_.Then(S3Failure(400, "AuthorizationHeaderMalformed", "<Region>r-2</Region>"));
  const auto listing = List();
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Errc::kInvalid);
  EXPECT_THAT(listing.error().what, HasSubstr("region r-2"));
}

TEST_F(S3OriginListTest, DoesNotLetARegionChangeTheHost) {
  transport_.Then(
      S3Failure(400, "AuthorizationHeaderMalformed", "<Region>evil.example/x</Region>"));
  EXPECT_FALSE(List());
  EXPECT_EQ(transport_.requests().size(), 1u);
}

TEST_F(S3OriginListTest, DoesNotFollowARedirectElsewhere) {
  transport_.Then({.status = 302, .headers = {{"location", "http://elsewhere/"}}});
  const auto listing = List();
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Errc::kInvalid);
}

TEST_F(S3OriginListTest, CorrectsItsClockOnce) {
  FakeReply skewed = S3Failure(403, "RequestTimeTooSkewed");
  skewed.headers = {{"date", "Fri, 24 May 2013 02:00:00 GMT"}};
  transport_.Then(skewed);
  transport_.Then(Page(""));
  transport_.Then(skewed);
  transport_.Then(skewed);
  EXPECT_TRUE(List());
  EXPECT_EQ(HeaderOf(transport_.requests()[1], "x-amz-date"), "20130524T020000Z");
  const auto listing = List();
  ASSERT_FALSE(listing);
  EXPECT_THAT(listing.error().what, HasSubstr("clock"));
}

TEST_F(S3OriginListTest, SignsEachAttemptAnew) {
  transport_.Then([this](const fetch::HttpRequest&) {
    wall_clock_ += std::chrono::seconds(2);
    return S3Failure(500, "InternalError");
  });
  transport_.Then(Page(""));
  EXPECT_TRUE(List());
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "x-amz-date"), "20130524T000000Z");
  EXPECT_EQ(HeaderOf(transport_.requests()[1], "x-amz-date"), "20130524T000002Z");
}

TEST_F(S3OriginListTest, SendsNothingSecretWhenAnonymous) {
  auto options = Defaults();
  options.credentials = std::make_shared<fetch::AnonymousCredentials>();
  Make(std::move(options));
  transport_.Then(Page(""));
  EXPECT_TRUE(List());
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "authorization"), "");
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "x-amz-date"), "");
}

TEST_F(S3OriginListTest, UsesVirtualHostsOfTheLearnedRegionAtAws) {
  auto options = Defaults();
  options.endpoint = "";
  Make(std::move(options));
  FakeReply redirect = S3Failure(301, "PermanentRedirect");
  redirect.headers = {{"x-amz-bucket-region", "eu-west-1"}};
  transport_.Then(redirect);
  transport_.Then(Page(""));
  EXPECT_TRUE(List());
  EXPECT_THAT(transport_.requests()[0].url,
              testing::StartsWith("https://bkt.s3.us-east-1.amazonaws.com/?"));
  EXPECT_THAT(transport_.requests()[1].url,
              testing::StartsWith("https://bkt.s3.eu-west-1.amazonaws.com/?"));
}

TEST_F(S3OriginListTest, CompletesAWaitingRetryWhenDestroyed) {
  transport_.Then(S3Failure(503, "SlowDown"));
  std::optional<Result<Listing>> result;
  origin_->List("", Into(result));
  ASSERT_TRUE(transport_.AnswerNext());
  ASSERT_EQ(timer_.waiting(), 1u);
  origin_.reset();
  EXPECT_TRUE(timer_.RunNext());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error().code, Errc::kCancelled);
  EXPECT_EQ(transport_.pending(), 0u);
}

TEST_F(S3OriginListTest, CancelsWhatIsInFlightWhenDestroyed) {
  std::optional<Result<Listing>> result;
  origin_->List("", Into(result));
  origin_.reset();
  ASSERT_TRUE(transport_.AnswerNext());
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error().code, Errc::kCancelled);
}

TEST_F(S3OriginListTest, ADnsFailureIsTriedAgain) {
  const FakeReply no_host{.status = 0,
                          .failure = Error{Errc::kNotFound, "host 'h' cannot be resolved"}};
  transport_.Then(no_host);
  transport_.Then(no_host);
  transport_.Then(Page(""));
  EXPECT_TRUE(List()) << "it may be the first thing that the successor of a worker meets";
}

class S3OriginProbeTest : public S3OriginFixture {
 protected:
  void SetUp() override { Make(); }
};

TEST_F(S3OriginProbeTest, AsksForOneKeyWithinTheDeadline) {
  transport_.Then(Page(Content("pre/a")));
  EXPECT_TRUE(Probe());
  const auto& request = transport_.requests()[0];
  EXPECT_THAT(request.url, HasSubstr("max-keys=1&prefix=pre%2F"));
  EXPECT_EQ(request.total_timeout, std::chrono::seconds(8));
}

TEST_F(S3OriginProbeTest, NamesAPrefixWithoutKeys) {
  transport_.Then(Page("<KeyCount>0</KeyCount>"));
  const auto probe = Probe();
  ASSERT_FALSE(probe);
  EXPECT_EQ(probe.error().code, Errc::kNotFound);
  EXPECT_EQ(probe.error().what, "no keys below s3://bkt/pre/");
}

TEST_F(S3OriginProbeTest, AnEmptyBucketIsFine) {
  auto options = Defaults();
  options.uri.prefix = "";
  Make(std::move(options));
  transport_.Then(Page("<KeyCount>0</KeyCount>"));
  EXPECT_TRUE(Probe());
}

TEST_F(S3OriginProbeTest, SaysWhenItIsNoS3) {
  transport_.Then({.body = "<!doctype html><html><p>hello"});
  const auto probe = Probe();
  ASSERT_FALSE(probe);
  EXPECT_EQ(probe.error().code, Errc::kInvalid);
  EXPECT_THAT(probe.error().what, HasSubstr("does not answer like S3"));
}

TEST_F(S3OriginProbeTest, TriesAgainOnlyQuickly) {
  for (int i = 0; i < 4; ++i)
    transport_.Then({.status = 0, .failure = Error{Errc::kTransient, "connection refused"}});
  const auto probe = Probe();
  ASSERT_FALSE(probe);
  EXPECT_EQ(probe.error().code, Errc::kTransient);
  EXPECT_THAT(probe.error().what, HasSubstr("connection refused"));
  EXPECT_THAT(Delays(), ElementsAre(25, 50, 100));
}

TEST_F(S3OriginProbeTest, EndsByItsDeadline) {
  for (int i = 0; i < 2; ++i) {
    transport_.Then([this](const fetch::HttpRequest& request) {
      timer_.Advance(std::min(request.total_timeout, std::chrono::milliseconds(5'000)));
      return FakeReply{.status = 0, .failure = Error{Errc::kTransient, "timed out"}};
    });
  }
  const auto start = timer_.Now();
  EXPECT_EQ(Probe().error().code, Errc::kTransient);
  EXPECT_LE(timer_.Now() - start, std::chrono::milliseconds(8'001));
}

TEST_F(S3OriginProbeTest, IdentityComesFromEndpointAndPrincipal) {
  const auto pin = [&] {
    return origin_->Pin("d/", {.name = "f", .size_bytes = 3, .modified = {}, .tag = "\"t\""});
  };
  const fetch::ObjectId id = pin();
  EXPECT_EQ(id.key, "pre/d/f");
  EXPECT_EQ(id.source, "s3://bkt@http://h:1");
  EXPECT_EQ(id.Describe(), "s3://bkt/pre/d/f");
  EXPECT_EQ(origin_->Describe(), "s3://bkt/pre/");
  Make();
  EXPECT_EQ(pin(), id);
  auto other = Defaults();
  other.credentials = std::make_shared<fetch::AnonymousCredentials>();
  Make(other);
  EXPECT_NE(pin().domain, id.domain);
  other = Defaults();
  other.endpoint = "http://h2:1";
  Make(other);
  EXPECT_NE(pin().domain, id.domain);
}

}  // namespace
}  // namespace modelfs::test
