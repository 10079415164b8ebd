#include "fetch/mlflow/served_artifacts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/unit/fetch/mlflow/mlflow_fixture.h"

namespace modelfs::fetch {
namespace {

using test::FakeReply;
using test::HeaderOf;
using testing::HasSubstr;

constexpr const char* kFiles = R"({"files": [{"path": "big", "file_size": 20},
                                             {"path": "small", "file_size": 4}]})";
constexpr const char* kBig = "/api/2.0/mlflow-artifacts/artifacts/1/m/big";
constexpr const char* kSmall = "/api/2.0/mlflow-artifacts/artifacts/1/m/small";
constexpr const char* kPresigned = "/api/2.0/mlflow-artifacts/presigned/1/m/";
const std::string kContent = "0123456789abcdefghij";

class ServedArtifactsTest : public test::MlflowFixture {
 protected:
  void SetUp() override { Make({.tracking_uri = kServer, .username = "ann", .password = "pw"}); }
};

TEST_F(ServedArtifactsTest, ReadsByRangesWhereTheServerKnowsThem) {
  const auto origin = OpenProxied(kFiles);
  OnRanges(kBig, kContent, "\"e1\"");
  OnRanges(kSmall, "tiny", "\"e2\"");
  const ObjectId big = Pinned(*origin, "big", 20);
  EXPECT_EQ(Read(*origin, big, {5, 9}), "5678");
  EXPECT_EQ(Read(*origin, big, {0, 20}), kContent);
  EXPECT_EQ(origin->DeliveryOf(big), Delivery::kRanges);
  EXPECT_EQ(HeaderOf(transport_.requests().back(), "if-range"), "\"e1\"");
  EXPECT_EQ(HeaderOf(transport_.requests().back(), "authorization"), "Basic YW5uOnB3");
  EXPECT_EQ(Requests("presigned"), 1u) << "asked once, remembered";
  EXPECT_EQ(Requests("m/small"), 2u) << "the way is found on the smallest file";
  for (const auto& request : transport_.requests()) EXPECT_NE(request.method, "HEAD");
}

TEST_F(ServedArtifactsTest, AServerWithoutRangesIsAskedForWholes) {
  const auto origin = OpenProxied(kFiles);
  On(kBig, FakeReply{.status = 200, .body = kContent});
  On(kSmall, FakeReply{.status = 200, .body = "tiny"});
  const ObjectId big = Pinned(*origin, "big", 20);
  const auto ranged = Read(*origin, big, {5, 9});
  ASSERT_FALSE(ranged);
  EXPECT_EQ(ranged.error().code, Errc::kUnranged);
  EXPECT_EQ(Requests("m/big"), 0u) << "the big file must not be sent only to be dropped";
  EXPECT_EQ(origin->DeliveryOf(big), Delivery::kStream);
  EXPECT_EQ(Read(*origin, big, {0, 20}), kContent);
  EXPECT_EQ(HeaderOf(transport_.requests().back(), "range"), "");
}

TEST_F(ServedArtifactsTest, AFileThatIsBrokenFailsNoOther) {
  const auto origin = OpenProxied(kFiles);
  OnRanges(kBig, kContent, "\"e1\"");
  OnRanges(kSmall, "tiny, but longer than the listing says", "\"e2\"");
  EXPECT_EQ(Read(*origin, Pinned(*origin, "big", 20), {5, 9}), "5678");
  const auto small = Read(*origin, Pinned(*origin, "small", 4), {0, 4});
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, Errc::kChanged) << small.error().what;
  EXPECT_EQ(origin->DeliveryOf(Pinned(*origin, "big", 20)), Delivery::kRanges);
}

TEST_F(ServedArtifactsTest, ABrokenStreamBeginsAgainAndComparesWhatItKnows) {
  const auto origin = OpenProxied(kFiles);
  On(kSmall, FakeReply{.status = 200, .body = "tiny"});
  int attempt = 0;
  std::string second = kContent;
  On(kBig, [&](const HttpRequest&) -> FakeReply {
    if (attempt++ == 0) {
      return {
          .status = 200, .body = kContent.substr(0, 9), .failure = Error{Errc::kTransient, "cut"}};
    }
    return {.status = 200, .body = second};
  });
  const ObjectId big = Pinned(*origin, "big", 20);
  EXPECT_FALSE(Read(*origin, big, {5, 9}));
  EXPECT_EQ(Read(*origin, big, {0, 20}), kContent);
  EXPECT_EQ(attempt, 2);
  attempt = 0;
  second[3] = 'X';
  const auto changed = Read(*origin, big, {0, 20});
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Errc::kChanged);
}

TEST_F(ServedArtifactsTest, ALengthThatIsNotTheListingsIsRefused) {
  const auto origin = OpenProxied(kFiles);
  On(kSmall, FakeReply{.status = 200, .body = "tiny"});
  const ObjectId big = Pinned(*origin, "big", 20);
  EXPECT_FALSE(Read(*origin, big, {5, 9}));
  for (const std::string& body : {kContent + "more", kContent.substr(0, 7), std::string()}) {
    On(kBig, FakeReply{.status = 200, .body = body});
    const auto read = Read(*origin, big, {0, 20});
    ASSERT_FALSE(read) << body;
    EXPECT_EQ(read.error().code, Errc::kChanged) << read.error().what;
    EXPECT_THAT(read.error().what, HasSubstr("iris/1/big"));
  }
}

TEST_F(ServedArtifactsTest, AnObjectThatChangesBetweenRangesIsNeverMixed) {
  const auto origin = OpenProxied(kFiles);
  OnRanges(kSmall, "tiny", "\"e2\"");
  OnRanges(kBig, kContent, "\"e1\"");
  const ObjectId big = Pinned(*origin, "big", 20);
  EXPECT_EQ(Read(*origin, big, {0, 4}), "0123");
  OnRanges(kBig, std::string(20, 'X'), "\"e3\"");
  const auto read = Read(*origin, big, {4, 8});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kChanged);
}

TEST_F(ServedArtifactsTest, PresignedUrlsGetNoLoginAndAreRenewed) {
  const auto origin = OpenProxied(kFiles);
  int asked = 0;
  On(kPresigned, [&](const HttpRequest& request) -> FakeReply {
    const std::string name = request.url.substr(request.url.rfind('/') + 1);
    return {.body = fmt::format(R"({{"url": "http://store/{}?X-Amz-Expires=300&n={}",
                                     "headers": {{"X-Extra": "1"}}}})",
                                name, ++asked)};
  });
  OnRanges("http://store/big", kContent, "\"s1\"");
  OnRanges("http://store/small", "tiny", "\"s2\"");
  const ObjectId big = Pinned(*origin, "big", 20);
  EXPECT_EQ(Read(*origin, big, {5, 9}), "5678");
  EXPECT_EQ(Read(*origin, big, {9, 11}), "9a");
  EXPECT_EQ(asked, 2) << "one for the small file, one for the big";
  EXPECT_EQ(HeaderOf(transport_.requests().back(), "authorization"), "");
  EXPECT_EQ(HeaderOf(transport_.requests().back(), "x-extra"), "1");
  // The storage refuses the old one.
  On("http://store/big", [&](const HttpRequest& request) -> FakeReply {
    if (request.url.ends_with("n=2")) return {.status = 403, .body = "<Error/>"};
    return {.status = 206,
            .headers = {{"content-range", "bytes 1-2/20"}, {"etag", "\"s1\""}},
            .body = "12"};
  });
  EXPECT_EQ(Read(*origin, big, {1, 3}), "12");
  EXPECT_EQ(asked, 3);
  // And an old one is not even tried.
  timer_.Advance(std::chrono::seconds(250));
  EXPECT_EQ(Read(*origin, big, {1, 3}), "12");
  EXPECT_EQ(asked, 4);
}

TEST_F(ServedArtifactsTest, AStorageThatCannotBeReachedFallsBackToTheServer) {
  const auto origin = OpenProxied(kFiles);
  OnJson(kPresigned, R"({"url": "http://inside/x", "file_size": null})");
  On("http://inside/", FakeReply{.status = 0, .failure = Error{Errc::kDenied, "no route"}});
  OnRanges(kBig, kContent, "\"e1\"");
  OnRanges(kSmall, "tiny", "\"e2\"");
  EXPECT_EQ(Read(*origin, Pinned(*origin, "big", 20), {5, 9}), "5678");
}

TEST(PresignedUrlTest, RefusesWhatLeadsAway) {
  using nlohmann::json;
  const json plain = {{"url", "http://store/x"}};
  EXPECT_TRUE(ParsePresignedUrl(plain, "http://m"));
  EXPECT_FALSE(ParsePresignedUrl(plain, "https://m")) << "from https to http";
  for (const char* const bad : {"", "ftp://x", "file:///etc/passwd", "http://a\nb", "//x"}) {
    EXPECT_FALSE(ParsePresignedUrl({{"url", bad}}, "http://m")) << bad;
  }
  EXPECT_EQ(ParsePresignedUrl({{"presigned_url", "https://s/x?X-Amz-Expires=60"}}, "https://m")
                ->valid_for,
            std::chrono::seconds(60));
}

}  // namespace
}  // namespace modelfs::fetch
