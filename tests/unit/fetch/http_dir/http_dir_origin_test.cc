#include "fetch/http_dir/http_dir_origin.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "fetch/base/base64.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/fetch/fake_timer.h"
#include "tests/unit/fetch/fake_transport.h"
#include "tests/unit/fetch/string_sink.h"

namespace modelfs::test {
namespace {

using fetch::Delivery;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kTime = "Fri, 24 May 2013 00:00:00 GMT";  // 1369353600

class HttpDirOriginTest : public testing::Test {
 protected:
  HttpDirOriginTest() { Make({}); }
  void Make(fetch::HttpAuth::Options auth, std::string_view url = "https://h:8443/m%20x/") {
    fetch::HttpDirOrigin::Options options;
    options.url = fetch::HttpUrl::Parse(url).value();
    options.auth = std::move(auth);
    options.transport = &transport_;
    options.timer = &timer_;
    options.budget = std::make_shared<fetch::RetryBudget>();
    options.random = [] { return 0.5; };
    options.list_retry = {.max_attempts = 3};
    options.read_retry = {.max_attempts = 3};
    origin_ = std::make_shared<fetch::HttpDirOrigin>(std::move(options));
  }
  void Drive() {
    while (transport_.AnswerNext() || timer_.RunNext()) {
    }
  }
  Result<fetch::Listing> List(std::string directory = "") {
    std::optional<Result<fetch::Listing>> result;
    origin_->List(std::move(directory), [&result](Result<fetch::Listing> r) {
      EXPECT_FALSE(result);
      result.emplace(std::move(r));
    });
    Drive();
    if (!result) return Fail(Errc::kTimeout, "never completed");
    return std::move(*result);
  }
  Result<std::string> Read(const fetch::ObjectId& object, ByteRange range) {
    std::optional<Result<void>> result;
    sink_ = std::make_shared<StringSink>();
    origin_->Read(object, range, sink_, [&result](Result<void> r) {
      EXPECT_FALSE(result);
      result.emplace(std::move(r));
    });
    Drive();
    if (!result) return Fail(Errc::kTimeout, "never completed");
    if (!*result) return std::unexpected(result->error());
    return sink_->text;
  }
  fetch::ObjectId Object(std::uint64_t size, std::string tag = "\"e1\"") const {
    return origin_->Pin("d/", {.name = "o b", .size_bytes = size, .tag = std::move(tag)});
  }
  static FakeReply Html(std::string_view links) {
    return {.body = fmt::format("<title>Index of /</title>{}", links)};
  }
  static FakeReply Head(std::string_view length, std::string etag = "\"e1\"") {
    return {.headers = {{"content-length", std::string(length)},
                        {"etag", std::move(etag)},
                        {"last-modified", kTime}}};
  }
  static FakeReply Part(std::uint64_t begin, std::string text, std::uint64_t total,
                        std::string etag = "\"e1\"") {
    FakeReply reply{.status = 206};
    reply.headers = {
        {"content-range", fmt::format("bytes {}-{}/{}", begin, begin + text.size() - 1, total)},
        {"etag", std::move(etag)}};
    reply.body = std::move(text);
    return reply;
  }
  static FakeReply Whole(std::string text, std::string etag = "\"e1\"") {
    return {.headers = {{"content-length", std::to_string(text.size())}, {"etag", std::move(etag)}},
            .body = std::move(text)};
  }
  static FakeReply Broken(FakeReply reply, std::size_t bytes) {
    reply.body.erase(bytes);
    reply.failure = Error{Errc::kTransient, "connection lost"};
    return reply;
  }
  static FakeReply To(std::string location, int status = 302) {
    return {.status = status, .headers = {{"location", std::move(location)}}};
  }
  const fetch::HttpRequest& Sent(std::size_t i) const { return transport_.requests().at(i); }

  TempDir temp_;
  FakeTransport transport_;
  FakeTimer timer_;
  std::shared_ptr<StringSink> sink_;
  std::shared_ptr<fetch::HttpDirOrigin> origin_;
};

TEST_F(HttpDirOriginTest, AsksForWhatAnHtmlListingDoesNotSay) {
  transport_.Then(Html("<a href=\"b.bin\"></a><a href=\"sub/\"></a><a href=\"a%20.bin\"></a>"))
      .Then(Head("7"))
      .Then(Head("9", "W/\"weak\""));
  const auto listing = List("d/");
  ASSERT_TRUE(listing) << listing.error().what;
  ASSERT_EQ(listing->entries.size(), 3u);
  EXPECT_EQ(Sent(0).url, "https://h:8443/m%20x/d/");
  EXPECT_EQ(Sent(1).method, "HEAD");
  EXPECT_EQ(Sent(1).url, "https://h:8443/m%20x/d/a%20.bin");
  EXPECT_EQ(listing->entries[0].name, "a .bin");
  EXPECT_EQ(listing->entries[0].size_bytes, 7u);
  EXPECT_EQ(listing->entries[0].tag, "\"e1\"");
  EXPECT_EQ(listing->entries[1].tag, "modified=1369353600");  // A weak ETag pins no bytes.
  EXPECT_EQ(listing->entries[2].kind, fetch::Entry::Kind::kDirectory);
}

TEST_F(HttpDirOriginTest, TakesAllFromTheJsonOfNginx) {
  transport_.Then(
      {.body = fmt::format(R"([{{"name":"a","type":"file","mtime":"{}","size":5}}])", kTime)});
  const auto listing = List();
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->entries[0].size_bytes, 5u);
  EXPECT_EQ(listing->entries[0].tag, "modified=1369353600");
  EXPECT_EQ(transport_.requests().size(), 1u);
}

TEST_F(HttpDirOriginTest, LeavesOutWhatIsGoneOrHasNoLength) {
  transport_.Then(Html("<a href=a></a><a href=b></a><a href=c></a><a href=d></a>"))
      .Then({.status = 404})
      .Then({.status = 403})
      .Then({.headers = {{"etag", "\"x\""}}})
      .Then(Head("1"));
  const auto listing = List();
  ASSERT_TRUE(listing);
  ASSERT_EQ(listing->entries.size(), 1u);
  EXPECT_EQ(listing->entries[0].name, "d");
}

TEST_F(HttpDirOriginTest, AManyFilesAreAskedForAFewAtATime) {
  std::string links;
  for (int i = 0; i < 40; ++i) links += fmt::format("<a href=f{:02}></a>", i);
  transport_.Then(Html(links));
  for (int i = 0; i < 40; ++i) transport_.Then(Head("1"));
  std::optional<Result<fetch::Listing>> result;
  origin_->List("", [&result](Result<fetch::Listing> r) { result.emplace(std::move(r)); });
  std::size_t most = 0;
  while (transport_.AnswerNext()) most = std::max(most, transport_.pending());
  EXPECT_LE(most, 16u);
  ASSERT_TRUE(result && *result);
  EXPECT_EQ((*result)->entries.size(), 40u);
}

TEST_F(HttpDirOriginTest, FailsWhenAnAnswerIsMissing) {
  transport_.Then(Html("<a href=a></a><a href=b></a>")).Then(Head("1"));
  for (int i = 0; i < 3; ++i) transport_.Then({.status = 500});
  const auto listing = List();
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, Errc::kTransient);
}

TEST_F(HttpDirOriginTest, FallsBackToAnIndexFile) {
  for (FakeReply first : {FakeReply{.status = 403}, FakeReply{.status = 404},
                          FakeReply{.body = "<html>Welcome</html>"}}) {
    transport_.Then(first).Then({.body = R"([{"name":"a","size":5,"etag":"\"x\""}])"});
    const auto listing = List("d/");
    ASSERT_TRUE(listing) << listing.error().what;
    EXPECT_EQ(listing->entries[0].tag, "\"x\"");
  }
  EXPECT_EQ(Sent(1).url, "https://h:8443/m%20x/d/index.json");
  transport_.Then({.status = 404}).Then({.status = 404});
  EXPECT_EQ(List().error().code, Errc::kNotFound);
  transport_.Then({.status = 403}).Then({.status = 404});
  EXPECT_EQ(List().error().code, Errc::kDenied);
  transport_.Then({.body = "Welcome"}).Then({.status = 404});
  EXPECT_EQ(List().error().code, Errc::kInvalid);
}

TEST_F(HttpDirOriginTest, ReadsARangeOfThePinnedObject) {
  transport_.Then(Part(2, "cde", 9));
  EXPECT_EQ(Read(Object(9), {2, 5}), "cde");
  EXPECT_EQ(Sent(0).url, "https://h:8443/m%20x/d/o%20b");
  EXPECT_EQ(HeaderOf(Sent(0), "range"), "bytes=2-4");
  EXPECT_EQ(HeaderOf(Sent(0), "if-match"), "\"e1\"");
  EXPECT_EQ(HeaderOf(Sent(0), "if-range"), "\"e1\"");
  EXPECT_EQ(HeaderOf(Sent(0), "accept-encoding"), "identity");
  FakeReply by_time = Part(0, "ab", 9);
  by_time.headers.back() = {"last-modified", kTime};
  transport_.Then(by_time);
  EXPECT_EQ(Read(Object(9, "modified=1369353600"), {0, 2}), "ab");
  EXPECT_EQ(HeaderOf(Sent(1), "if-unmodified-since"), "Fri, 24 May 2013 00:00:01 GMT");
  EXPECT_EQ(HeaderOf(Sent(1), "if-range"), "");
}

TEST_F(HttpDirOriginTest, GoesOnBehindADrop) {
  transport_.Then(Broken(Part(0, "abcdefghi", 9), 4)).Then(Part(4, "efghi", 9));
  EXPECT_EQ(Read(Object(9), {0, 9}), "abcdefghi");
  EXPECT_EQ(HeaderOf(Sent(1), "range"), "bytes=4-8");
}

TEST_F(HttpDirOriginTest, NoticesChanges) {
  for (FakeReply reply :
       {FakeReply{.status = 412}, FakeReply{.status = 404}, Part(0, "ab", 9, "\"e2\""),
        Part(0, "ab", 10), Whole("abc", "\"e2\""), Whole("abc"),
        FakeReply{.status = 416, .headers = {{"content-range", "bytes */3"}}}}) {
    transport_.Then(reply);
    const auto read = Read(Object(9), {0, 2});
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::kChanged) << read.error().what;
    EXPECT_EQ(sink_->text, "");
  }
}

TEST_F(HttpDirOriginTest, AServerWithoutRangesGivesStreams) {
  const auto object = Object(9);
  EXPECT_EQ(origin_->DeliveryOf(object), Delivery::kRanges);
  transport_.Then(Whole("abcdefghi"));
  const auto part = Read(object, {2, 5});
  ASSERT_FALSE(part);
  EXPECT_EQ(part.error().code, Errc::kUnranged);
  EXPECT_EQ(sink_->text, "");
  EXPECT_EQ(origin_->DeliveryOf(object), Delivery::kStream);
  transport_.Then(Whole("abcdefghi"));
  EXPECT_EQ(Read(object, {0, 9}), "abcdefghi");
  EXPECT_EQ(HeaderOf(Sent(1), "range"), "");
}

TEST_F(HttpDirOriginTest, TheWholeIsTakenFromAServerWithoutRangesAtOnce) {
  transport_.Then(Whole("abcdefghi"));
  EXPECT_EQ(Read(Object(9), {0, 9}), "abcdefghi");
  EXPECT_EQ(origin_->DeliveryOf(Object(9)), Delivery::kStream);
}

TEST_F(HttpDirOriginTest, AStreamBeginsAgainAndMustBeTheSame) {
  transport_.Then(Broken(Whole("abcdefghijklmnopqrstuvwxyz"), 20))
      .Then(Broken(Whole("abcdefghijklmnopqrstuvwxyz"), 10))
      .Then(Whole("abcdefghijklmnopqrstuvwxyz"));
  EXPECT_EQ(Read(Object(26), {0, 26}), "abcdefghijklmnopqrstuvwxyz");
  transport_.Then(Broken(Whole("abcdefghijklmnopqrstuvwxyz"), 20))
      .Then(Whole("abcdefghijklmnoXqrstuvwxyz"));
  const auto read = Read(Object(26), {0, 26});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Errc::kChanged);
  EXPECT_THAT(read.error().what, HasSubstr("other bytes"));
  EXPECT_EQ(sink_->text, "abcdefghijklmnopqrst");
}

TEST_F(HttpDirOriginTest, AStreamMayHaveNoLength) {
  FakeReply chunked = Whole("abcdefghi");
  std::erase_if(chunked.headers, [](const auto& h) { return h.first == "content-length"; });
  transport_.Then(chunked);
  EXPECT_EQ(Read(Object(9), {0, 9}), "abcdefghi");
  transport_.Then(chunked);
  EXPECT_EQ(Read(Object(8), {0, 8}).error().code, Errc::kChanged);  // Longer than pinned.
  for (int i = 0; i < 3; ++i) transport_.Then(chunked);
  EXPECT_EQ(Read(Object(10), {0, 10}).error().code, Errc::kTransient);
}

TEST_F(HttpDirOriginTest, FollowsRedirectsAndKeepsThePasswordAtHome) {
  const std::string file = temp_.Write("auth", "me:pass:word\n").string();
  Make({.basic_file = file});
  const std::string basic = "Basic " + Base64Encode("me:pass:word");
  transport_.Then(To("/other/o"))
      .Then(To("https://cdn.example/x?sig=hush", 307))
      .Then(Part(0, "ab", 9));
  EXPECT_EQ(Read(Object(9), {0, 2}), "ab");
  EXPECT_EQ(HeaderOf(Sent(0), "authorization"), basic);
  EXPECT_EQ(Sent(1).url, "https://h:8443/other/o");
  EXPECT_EQ(HeaderOf(Sent(1), "authorization"), basic);
  EXPECT_EQ(Sent(2).url, "https://cdn.example/x?sig=hush");
  EXPECT_EQ(HeaderOf(Sent(2), "authorization"), "");
  EXPECT_EQ(HeaderOf(Sent(2), "range"), "bytes=0-1");
}

TEST_F(HttpDirOriginTest, RefusesBadRedirects) {
  for (const char* location :
       {"http://h:8443/x", "http://other/x", "ftp://h/x", "file:///etc/passwd",
        "https://user:pw@h/x", "https://169.254.169.254/latest", "https://127.0.0.1/x",
        "https://localhost:1/", "https://[::1]/", "", "/m%20x/d/o%20b"}) {
    const std::size_t before = transport_.requests().size();
    transport_.Then(To(location));
    const auto read = Read(Object(9), {0, 2});
    ASSERT_FALSE(read) << location;
    EXPECT_EQ(read.error().code, Errc::kInvalid) << location;
    EXPECT_THAT(read.error().what, HasSubstr("redirect"));
    EXPECT_THAT(read.error().what, Not(HasSubstr("pw")));
    EXPECT_EQ(transport_.requests().size(), before + 1) << location;
  }
  for (int i = 0; i < 6; ++i) transport_.Then(To(fmt::format("/r{}", i)));
  EXPECT_THAT(Read(Object(9), {0, 2}).error().what, HasSubstr("too many times"));
}

TEST_F(HttpDirOriginTest, TheFileIsReadAgainWhenItChanges) {
  const std::string file = temp_.Write("token", "first").string();
  Make({.bearer_file = file});
  transport_.Then(Part(0, "ab", 9))
      .Then([&](const fetch::HttpRequest&) {
        temp_.Write("token", "second!\n");
        return FakeReply{.status = 401};
      })
      .Then(Part(2, "cd", 9));
  EXPECT_EQ(Read(Object(9), {0, 2}), "ab");
  EXPECT_EQ(HeaderOf(Sent(0), "authorization"), "Bearer first");
  EXPECT_EQ(Read(Object(9), {2, 4}), "cd");
  EXPECT_EQ(HeaderOf(Sent(2), "authorization"), "Bearer second!");
  transport_.Then({.status = 401});
  const auto read = Read(Object(9), {0, 2});
  EXPECT_EQ(read.error().code, Errc::kDenied);
  EXPECT_THAT(read.error().what, HasSubstr(file));
  EXPECT_THAT(read.error().what, Not(HasSubstr("second")));
  temp_.Write("token", "");
  EXPECT_EQ(Read(Object(9), {0, 2}).error().code, Errc::kDenied);
}

TEST_F(HttpDirOriginTest, TriesAgainWhatMayPass) {
  transport_.Then({.status = 503, .headers = {{"retry-after", "2"}}})
      .Then({.status = 500})
      .Then(Part(0, "ab", 9));
  EXPECT_EQ(Read(Object(9), {0, 2}), "ab");
  EXPECT_EQ(timer_.delays().at(0), std::chrono::seconds(2));
  transport_.Then({.status = 400});
  EXPECT_EQ(Read(Object(9), {0, 2}).error().code, Errc::kInvalid);
}

TEST_F(HttpDirOriginTest, ProbesAndNamesWhatIsMissing) {
  const auto probe = [this] {
    std::optional<Result<void>> result;
    origin_->Probe(std::chrono::seconds(8), [&](Result<void> r) { result.emplace(std::move(r)); });
    Drive();
    return result.value_or(Fail(Errc::kTimeout, "never completed"));
  };
  transport_.Then(Html(""));
  EXPECT_TRUE(probe());
  transport_.Then({.status = 401});
  EXPECT_THAT(probe().error().what, HasSubstr("auth_file or token_file"));
}

TEST(HttpUrl, IsBroughtIntoOneForm) {
  const auto form = [](std::string_view text) { return fetch::HttpUrl::Parse(text)->ToString(); };
  EXPECT_EQ(form("HTTPS://Host.Example:443/Models"), "https://host.example/Models/");
  EXPECT_EQ(form("http://h:80"), "http://h/");
  EXPECT_EQ(form("http://[::1]:8080/a%20b/"), "http://[::1]:8080/a%20b/");
  for (const char* bad :
       {"", "h/x", "ftp://h/", "http://", "http:///x", "http://h/a b", "http://h/?q", "http://h/#f",
        "http://h/../x", "http://h//x", "http://h/./x", "http://h\\x/"}) {
    EXPECT_FALSE(fetch::HttpUrl::Parse(bad)) << bad;
  }
  const auto password = fetch::HttpUrl::Parse("https://me:hush@h/");
  ASSERT_FALSE(password);
  EXPECT_THAT(password.error().what, Not(HasSubstr("hush")));
}

}  // namespace
}  // namespace modelfs::test
