#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "fetch/http/object_pin.h"
#include "tests/unit/fetch/s3/s3_origin_fixture.h"

namespace modelfs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kText = "0123456789abcdefghijklmnopqrstuvwxyzABCD";  // 40 bytes

class S3OriginReadTest : public S3OriginFixture {
 protected:
  void SetUp() override { Make(); }

  static std::string Slice(ByteRange range) { return kText.substr(range.begin, range.size()); }
  /// What an honest server answers, taken from the request itself.
  static FakeReply Honest(const fetch::HttpRequest& request) {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    EXPECT_EQ(std::sscanf(HeaderOf(request, "range").c_str(), "bytes=%lu-%lu", &first, &last), 2);
    return Part(first, Slice({first, last + 1}), kText.size());
  }
  void ThenHonest() { transport_.Then(FakeTransport::Answer(Honest)); }
  std::string RangeOf(std::size_t request) const {
    return HeaderOf(transport_.requests().at(request), "range");
  }
};

TEST_F(S3OriginReadTest, AsksForTheRangeOfThePinnedObject) {
  ThenHonest();
  EXPECT_EQ(Read(Object(40), {3, 23}), Slice({3, 23}));
  const auto& request = transport_.requests()[0];
  EXPECT_EQ(request.url, "http://h:1/bkt/pre/d/obj");
  EXPECT_EQ(HeaderOf(request, "range"), "bytes=3-22");
  EXPECT_EQ(HeaderOf(request, "if-match"), "\"e1\"");
  EXPECT_THAT(HeaderOf(request, "authorization"), HasSubstr("SignedHeaders=host;if-match;range;"));
}

TEST_F(S3OriginReadTest, QuotesABareEtagAndTakesEitherInTheAnswer) {
  transport_.Then(Part(0, kText, 40, "e1"));
  EXPECT_EQ(Read(Object(40, "e1"), {0, 40}), kText);
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "if-match"), "\"e1\"");
  transport_.Then(Part(0, kText, 40, "W/\"e1\""));
  EXPECT_EQ(Read(Object(40), {0, 40}), kText);
}

TEST_F(S3OriginReadTest, GoesOnBehindWhatArrivedWhenTheConnectionDrops) {
  transport_.Then(Broken(Part(2, Slice({2, 38}), 40), 10));
  transport_.Then(Broken(Part(12, Slice({12, 38}), 40), 0));
  transport_.Then(Broken(Part(12, Slice({12, 38}), 40), 5));
  ThenHonest();
  EXPECT_EQ(Read(Object(40), {2, 38}), Slice({2, 38}));
  EXPECT_EQ(RangeOf(0), "bytes=2-37");
  EXPECT_EQ(RangeOf(1), "bytes=12-37");
  EXPECT_EQ(RangeOf(2), "bytes=12-37");
  EXPECT_EQ(RangeOf(3), "bytes=17-37");
}

TEST_F(S3OriginReadTest, DropsWithProgressDoNotUseUpTheAttempts) {
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t at = static_cast<std::uint64_t>(i);
    transport_.Then(Broken(Part(at, Slice({at, 40}), 40), 1));
  }
  ThenHonest();
  EXPECT_EQ(Read(Object(40), {0, 40}), kText);
}

TEST_F(S3OriginReadTest, DropsWithoutProgressDo) {
  for (int i = 0; i < 4; ++i) transport_.Then(Broken(Part(0, kText, 40), 0));
  const auto read = Read(Object(40), {0, 40});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kTransient);
}

TEST_F(S3OriginReadTest, ADropAfterTheLastByteIsASuccess) {
  transport_.Then(Broken(Part(0, kText, 40), 40));
  EXPECT_EQ(Read(Object(40), {0, 40}), kText);
}

TEST_F(S3OriginReadTest, AskesAgainWhereThereWasLessThanPromised) {
  FakeReply shorter = Part(0, kText, 40);
  shorter.body = Slice({0, 30});
  transport_.Then(shorter);
  ThenHonest();
  EXPECT_EQ(Read(Object(40), {0, 40}), kText);
  EXPECT_EQ(RangeOf(1), "bytes=30-39");
  EXPECT_EQ(Delays().size(), 1u);
}

TEST_F(S3OriginReadTest, TakesAShorterRangeAndGoesOnAtOnce) {
  transport_.Then(Part(0, Slice({0, 10}), 40));
  ThenHonest();
  EXPECT_EQ(Read(Object(40), {0, 40}), kText);
  EXPECT_EQ(RangeOf(1), "bytes=10-39");
  EXPECT_THAT(Delays(), ElementsAre());
}

TEST_F(S3OriginReadTest, NeverTakesMoreThanItAskedFor) {
  FakeReply longer = Part(0, Slice({0, 10}), 40);
  longer.body = kText;
  transport_.Then(longer);
  EXPECT_EQ(Read(Object(40), {0, 10}), Slice({0, 10}));
}

TEST_F(S3OriginReadTest, TakesNothingFromAWrongContentRange) {
  transport_.Then(Part(4, Slice({3, 10}), 40));
  ThenHonest();
  EXPECT_EQ(Read(Object(40), {3, 10}), Slice({3, 10}));
}

TEST_F(S3OriginReadTest, AContentRangeThatStaysWrongIsCorrupt) {
  for (const char* header :
       {"bytes 4-10/40", "bytes 3-50/60", "bytes 3-9/*", "bytes */40", "", "bytes 9-3/40",
        "bytes 3-10/40", "items 3-9/40", "bytes 3-9/40 ", "bytes -3-9/40"}) {
    for (int i = 0; i < 3; ++i) {
      FakeReply wrong = Part(3, Slice({3, 10}), 40);
      wrong.headers[0].second = header;
      transport_.Then(wrong);
    }
    const auto read = Read(Object(40), {3, 10});
    ASSERT_FALSE(read) << header;
    EXPECT_EQ(read.error().code, Errc::kCorrupt) << header;
    EXPECT_EQ(sink_->text, "") << header;
  }
}

TEST_F(S3OriginReadTest, AnotherLengthOrEtagMeansAnotherObject) {
  transport_.Then(Part(3, Slice({3, 10}), 41));
  EXPECT_EQ(Read(Object(40), {3, 10}).error().code, Errc::kChanged);
  EXPECT_EQ(sink_->text, "");
  transport_.Then(Part(3, Slice({3, 10}), 40, "\"e2\""));
  EXPECT_EQ(Read(Object(40), {3, 10}).error().code, Errc::kChanged);
  EXPECT_EQ(sink_->text, "");
}

TEST_F(S3OriginReadTest, TheObjectMayChangeBetweenAttempts) {
  transport_.Then(Broken(Part(0, kText, 40), 10));
  transport_.Then(Part(10, Slice({10, 40}), 40, "\"e2\""));
  EXPECT_EQ(Read(Object(40), {0, 40}).error().code, Errc::kChanged);
  EXPECT_EQ(sink_->text, Slice({0, 10}));
}

TEST_F(S3OriginReadTest, DropsWhatComesBeforeTheRangeWhenRangesAreIgnored) {
  transport_.Then({.headers = {{"content-length", "40"}, {"etag", "\"e1\""}}, .body = kText});
  EXPECT_EQ(Read(Object(40), {9, 17}), Slice({9, 17}));
  transport_.Then({.headers = {{"content-length", "40"}}, .body = kText});
  EXPECT_EQ(Read(Object(40), {0, 40}), kText);
  transport_.Then({.headers = {{"etag", "\"e1\""}}, .body = kText});
  EXPECT_EQ(Read(Object(40), {39, 40}), "D");
}

TEST_F(S3OriginReadTest, TakesNothingFromA200OfAnotherObject) {
  transport_.Then({.headers = {{"content-length", "39"}, {"etag", "\"e1\""}}, .body = kText});
  EXPECT_EQ(Read(Object(40), {0, 5}).error().code, Errc::kChanged);
  EXPECT_EQ(sink_->text, "");
  transport_.Then({.headers = {{"content-length", "40"}, {"etag", "\"e2\""}}, .body = kText});
  EXPECT_EQ(Read(Object(40), {0, 5}).error().code, Errc::kChanged);
  EXPECT_EQ(sink_->text, "");
  for (int i = 0; i < 3; ++i) transport_.Then({.body = kText});
  EXPECT_EQ(Read(Object(40), {0, 5}).error().code, Errc::kCorrupt);
  EXPECT_EQ(sink_->text, "");
}

TEST_F(S3OriginReadTest, TellsReplacedFromGone) {
  transport_.Then(S3Failure(412, "PreconditionFailed"));
  const auto replaced = Read(Object(40), {0, 5});
  EXPECT_EQ(replaced.error().code, Errc::kChanged);
  EXPECT_THAT(replaced.error().what,
              HasSubstr("GET s3://bkt/pre/d/obj [0,+5): the object was replaced"));
  transport_.Then(S3Failure(404, "NoSuchKey"));
  EXPECT_EQ(Read(Object(40), {0, 5}).error().code, Errc::kChanged);
  transport_.Then(S3Failure(404, "NoSuchBucket"));
  EXPECT_EQ(Read(Object(40), {0, 5}).error().code, Errc::kNotFound);
}

TEST_F(S3OriginReadTest, UnsatisfiableMeansShorterOrNonsense) {
  FakeReply shorter = S3Failure(416, "InvalidRange");
  shorter.headers = {{"content-range", "bytes */7"}};
  transport_.Then(shorter);
  EXPECT_EQ(Read(Object(40), {10, 15}).error().code, Errc::kChanged);
  transport_.Then(S3Failure(416, "InvalidRange"));
  EXPECT_EQ(Read(Object(40), {10, 15}).error().code, Errc::kCorrupt);
}

TEST_F(S3OriginReadTest, DeniedNamesTheCode) {
  transport_.Then(S3Failure(403, "AccessDenied"));
  const auto read = Read(Object(40), {0, 5});
  EXPECT_EQ(read.error().code, Errc::kDenied);
  EXPECT_THAT(read.error().what, HasSubstr("HTTP 403 AccessDenied"));
}

TEST_F(S3OriginReadTest, AnEmptySuccessIsNoSuccess) {
  transport_.Then({.status = 204});
  EXPECT_EQ(Read(Object(40), {0, 5}).error().code, Errc::kCorrupt);
}

TEST_F(S3OriginReadTest, TriesAgainAfterErrorsOfTheServer) {
  transport_.Then(S3Failure(503, "SlowDown"));
  transport_.Then({.status = 502, .body = "<html>bad gateway</html>"});
  ThenHonest();
  EXPECT_EQ(Read(Object(40), {0, 40}), kText);
  EXPECT_THAT(Delays(), ElementsAre(500, 50));
}

TEST_F(S3OriginReadTest, PinsByDateWhereThereIsNoEtag) {
  const std::string tag = "modified=1369353600";
  FakeReply good = Part(0, Slice({0, 5}), 40);
  good.headers[2] = {"last-modified", "Fri, 24 May 2013 00:00:00 GMT"};
  transport_.Then(good);
  EXPECT_EQ(Read(Object(40, tag), {0, 5}), Slice({0, 5}));
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "if-match"), "");
  EXPECT_EQ(HeaderOf(transport_.requests()[0], "if-unmodified-since"),
            "Fri, 24 May 2013 00:00:01 GMT");
  good.headers[2].second = "Fri, 24 May 2013 00:00:01 GMT";
  transport_.Then(good);
  EXPECT_EQ(Read(Object(40, tag), {0, 5}).error().code, Errc::kChanged);
  EXPECT_EQ(sink_->text, "");
}

TEST_F(S3OriginReadTest, EncodesTheKey) {
  fetch::ObjectId object = Object(40);
  object.key = "a b+%41/\xC3\xA9/../x?y#z";
  ThenHonest();
  EXPECT_TRUE(Read(object, {0, 5}));
  EXPECT_EQ(transport_.requests()[0].url, "http://h:1/bkt/a%20b%2B%2541/%C3%A9/../x%3Fy%23z");
}

TEST_F(S3OriginReadTest, GoesOnThroughAnOutageWhileItIsPatient) {
  auto options = Defaults();
  options.read_retry = {.max_attempts = 2, .patience = std::chrono::seconds(60)};
  Make(std::move(options));
  const auto start = timer_.Now();
  for (int i = 0; i < 9; ++i)
    transport_.Then({.status = 0, .failure = Error{Errc::kTransient, "connection refused"}});
  ThenHonest();
  EXPECT_EQ(Read(Object(40), {0, 40}), kText);
  EXPECT_GT(timer_.Now() - start, std::chrono::seconds(10));
  EXPECT_EQ(budget_->Left(), 500);
}

TEST_F(S3OriginReadTest, CompletesWithCancelledWhenDestroyedBetweenAttempts) {
  transport_.Then(Broken(Part(0, kText, 40), 10));
  std::optional<Result<void>> result;
  auto sink = std::make_shared<StringSink>();
  origin_->Read(Object(40), {0, 40}, sink, Into(result));
  ASSERT_TRUE(transport_.AnswerNext());
  origin_.reset();
  while (timer_.RunNext() || transport_.AnswerNext()) {
  }
  ASSERT_TRUE(result);
  EXPECT_EQ(result->error().code, Errc::kCancelled);
}

TEST(SameEtag, IgnoresQuotesAndWeakMarks) {
  EXPECT_TRUE(fetch::SameEtag("\"a\"", "a"));
  EXPECT_TRUE(fetch::SameEtag("W/\"a\"", "\"a\""));
  EXPECT_FALSE(fetch::SameEtag("\"a\"", "\"b\""));
  EXPECT_FALSE(fetch::SameEtag("\"a\"", "\"a-1\""));
}

}  // namespace
}  // namespace modelfs::test
