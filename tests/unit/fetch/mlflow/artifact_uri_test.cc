#include "fetch/mlflow/artifact_uri.h"

#include <gtest/gtest.h>

namespace modelfs::fetch {
namespace {

TEST(ModelsUriTest, IsTakenApartAsMlflowsClientDoes) {
  using enum ModelsUri::Kind;
  const struct {
    const char* uri;
    ModelsUri::Kind kind;
    const char* name;
    const char* suffix;
  } cases[] = {
      {"models:/m-0123456789abcdef0123456789abcdef", kModelId, "m-0123456789abcdef0123456789abcdef",
       ""},
      {"models:/iris/7", kVersion, "iris", "7"},
      {"models:/iris@champion", kAlias, "iris", "champion"},
      {"models:/a@b@champion", kAlias, "a@b", "champion"},
      {"models:/iris/LATEST", kLatest, "iris", "LATEST"},
      {"models:/iris/Production", kStage, "iris", "Production"},
  };
  for (const auto& c : cases) {
    const auto parsed = ModelsUri::Parse(c.uri);
    ASSERT_TRUE(parsed) << c.uri;
    EXPECT_EQ(parsed->kind, c.kind) << c.uri;
    EXPECT_EQ(parsed->name, c.name);
    EXPECT_EQ(parsed->suffix, c.suffix);
  }
  for (const char* const bad : {"models:/", "models:/@x", "models:/iris@", "models:/a/b/c"}) {
    EXPECT_FALSE(ModelsUri::Parse(bad)) << bad;
  }
}

TEST(ModelsUriTest, APathBehindAModelIdIsKept) {
  const auto parsed = ModelsUri::Parse("models:/m-0123456789abcdef0123456789abcdef/code/x");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->kind, ModelsUri::Kind::kModelId);
  EXPECT_EQ(parsed->path, "code/x");
}

TEST(ProxiedUriTest, KeepsAnAuthorityAndOneSlash) {
  auto uri = ProxiedUri::Parse("mlflow-artifacts:/1//run/artifacts/");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->authority, "");
  EXPECT_EQ(uri->path, "1/run/artifacts");
  uri = ProxiedUri::Parse("mlflow-artifacts://Host:5000/1/run");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->authority, "host:5000");
  EXPECT_EQ(uri->path, "1/run");
  EXPECT_FALSE(ProxiedUri::Parse("mlflow-artifacts://user@host/1"));
}

TEST(ArtifactPathTest, KnowsWhatTheProxyCannotServe) {
  EXPECT_TRUE(CanBeProxied("a b+c/100%.bin"));
  EXPECT_FALSE(CanBeProxied("a#b"));
  EXPECT_FALSE(CanBeProxied("a%41b"));
  EXPECT_FALSE(CanBeProxied("a\\b"));
}

TEST(UrlOriginTest, LeavesLoginAndPathAway) {
  EXPECT_EQ(UrlOrigin("HTTP://user:pw@Host:5000/x?y#z"), "http://host:5000");
  EXPECT_EQ(UrlOrigin("nothing"), "");
}

}  // namespace
}  // namespace modelfs::fetch
