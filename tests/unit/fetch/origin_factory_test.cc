#include "fetch/origin_factory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace modelfs::fetch {
namespace {

using testing::HasSubstr;

TEST(OriginFactory, MakesWhatTheUriNames) {
  FetchContext context({});
  const auto s3 = MakeOrigin(context, "s3://bucket/a/b", {.anonymous = true});
  ASSERT_TRUE(s3) << s3.error().what;
  EXPECT_EQ((*s3)->Describe(), "s3://bucket/a/b/");
  const auto dir = MakeOrigin(context, "dir:/tmp/", {});
  ASSERT_TRUE(dir);
  EXPECT_EQ((*dir)->Describe(), "dir:/tmp");
}

TEST(OriginFactory, SaysWhatIsWrong) {
  FetchContext context({});
  const auto error = [&](std::string_view uri, const OriginSettings& settings) {
    const auto origin = MakeOrigin(context, uri, settings);
    EXPECT_FALSE(origin) << uri;
    return origin ? Error{Errc::kIo, ""} : origin.error();
  };
  EXPECT_EQ(error("gs://b", {}).code, Errc::kInvalid);
  EXPECT_EQ(error("dir:relative", {}).code, Errc::kInvalid);
  EXPECT_EQ(error("s3://", {.anonymous = true}).code, Errc::kInvalid);
  EXPECT_EQ(error("s3://b", {.s3_endpoint = "minio:9000", .anonymous = true}).code, Errc::kInvalid);
  const Error none = error("s3://b", {});
  EXPECT_EQ(none.code, Errc::kDenied);
  EXPECT_THAT(none.what, HasSubstr("no credentials"));
  const Error half = error("s3://b", {.access_key_id = "AKIA1"});
  EXPECT_EQ(half.code, Errc::kDenied);
  EXPECT_THAT(half.what, HasSubstr("AKIA1"));
}

TEST(FetchContext, SharesOneBudgetPerEndpoint) {
  FetchContext context({});
  EXPECT_EQ(context.BudgetFor("a"), context.BudgetFor("a"));
  EXPECT_NE(context.BudgetFor("a"), context.BudgetFor("b"));
  const Random random = context.random();
  for (int i = 0; i < 100; ++i) {
    const double x = random();
    EXPECT_GE(x, 0);
    EXPECT_LT(x, 1);
  }
}

}  // namespace
}  // namespace modelfs::fetch
